"""Networks as data: round trips, files, and what a file cannot do."""

import json

import pytest
import torch
import yaml

from scirs_neural.builder import Input, Model, Sequential, build, concat, layer, load_model_file, nodes, residual
from scirs_neural.core.errors import ConfigError


def convolutional():
    items = [
        {"conv2d": {"out_channels": 4, "kernel_size": [3, 3], "padding": "same"}, "as": "stem", "freeze": True},
        {"batch_norm2d": {"eps": 1e-3}},
        residual([{"conv2d": [8, 3, 2, 1], "init": "kaiming_normal"}, "relu"], activation="relu"),
        {"branch": ["flatten", {"linear": 2}], "as": "side"},
        "flatten",
        {"linear": 3},
        {"concat": None, "with": "side"},
    ]
    return Sequential(items, (1, 8, 8))


def two_by_two():
    left, right = Input((5,), name="left"), Input((7,), dtype="int64", name="right")
    tokens = layer("embedding", 11, 5)(right)
    shared = layer("linear", 6)
    out = concat([shared(left), shared(layer("lstm", 5)(tokens)[0][:, -1]) * 2.0])
    return Model([left, right], {"a": layer("linear", 3)(out), "b": out})


def sample(fact, generator):
    if fact.dtype == "int64":
        return torch.randint(0, 11, (3, *fact.shape), generator=generator)
    return torch.randn(3, *fact.shape, generator=generator)


@pytest.mark.feature(53)
@pytest.mark.parametrize("make", [convolutional, two_by_two])
@pytest.mark.parametrize("form", ["data", "yaml", "json"])
def test_round_trip(make, form):
    model = make().eval()
    read = {
        "data": lambda m: m.to_spec(),
        "yaml": lambda m: yaml.safe_load(m.to_yaml()),
        "json": lambda m: json.loads(m.to_json()),
    }
    spec = read[form](model)
    again = build(spec).eval()
    assert list(again.state_dict()) == list(model.state_dict())
    again.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(0)
    data = [sample(fact, generator) for fact in model.inputs]
    out, ref = again(*data), model(*data)
    pairs = zip(out.values(), ref.values(), strict=True) if isinstance(ref, dict) else [(out, ref)]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert again.code == model.code
    assert read[form](again) == spec
    frozen = [p.requires_grad for p in again.parameters()]
    assert frozen == [p.requires_grad for p in model.parameters()]


GRAPH = """
inputs: {left: [4], right: [4]}
layers:
  - {linear: 8, as: shared, from: left}
  - {call: shared, from: right, as: other}
  - {sub: , from: [shared, other], as: difference}
  - {linear: num_classes, as: head}
outputs: {logits: head, difference: difference}
"""


def test_a_graph_file(tmp_path):
    (tmp_path / "net.yaml").write_text(GRAPH)
    net = load_model_file(tmp_path / "net.yaml", num_classes=3)
    a, b = torch.randn(2, 5, 4)
    out = net(a, b)
    assert torch.equal(out["difference"], net.shared(a) - net.shared(b))
    assert torch.equal(out["logits"], net.head(out["difference"]))


def test_json_files_and_a_bare_list(tmp_path):
    (tmp_path / "net.json").write_text(json.dumps([{"linear": 4}, "relu", {"linear": "num_classes"}]))
    net = load_model_file(tmp_path / "net.json", input_shape=(2,), num_classes=5)
    assert net.output_shape == (None, 5)


USER = """
from torch import nn

class Scale(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor
"""


def test_a_users_class_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(USER)
    (tmp_path / "net.yaml").write_text("layers:\n  - linear: 3\n  - ./mine.py:Scale: {factor: 3.0}\n")
    with pytest.raises(ConfigError, match="names Python code"):
        load_model_file(tmp_path / "net.yaml", input_shape=(4,))
    net = load_model_file(tmp_path / "net.yaml", input_shape=(4,), allow_files=True)
    x = torch.randn(2, 4)
    assert torch.equal(net(x), net.get_submodule("0")(x) * 3)
    with pytest.raises(ConfigError, match="names Python code"):
        build(net.to_spec())
    assert torch.equal(build(net.to_spec(), allow_files=True).get_submodule("1")(x), x * 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: [{_target_: os.system, command: ls}]", "'_target_' is not taken"),
        ("layers: [{linear: '${oc.env:HOME}'}]", "interpolation"),
        ("layers: [{'os:system': ls}]", "names Python code"),
        ("layers: ['torch.nn:Linear']", "names Python code"),
        ("layers: [!!python/object/apply:os.system [ls]]", "cannot be read"),
        ("layers: [{linear: num_classes}]", "no number was given"),
        ("layers: [{linear: 3}", "cannot be read"),
        ("layers: 3", "needs 'layers', a list"),
        ("layer: [relu]", "unknown key 'layer'"),
        ("just text", "cannot be made of"),
        ("format: 9\nlayers: [relu]", "has format 9"),
        ("layers: [relu]\ninput_shape: [3, 3]", "the data has (4,)"),
        ("inputs: {}\nlayers: [relu]", "inputs is {}"),
        ("inputs: {x: [4]}\nlayers: [relu]\noutputs: [nowhere]", "nothing before it is named 'nowhere'"),
        ("layers: &a [" + "relu, " * 9 + "relu]\n", None),
    ],
)
def test_what_a_file_cannot_do(tmp_path, text, message):
    (tmp_path / "net.yaml").write_text(text)
    if message is None:
        load_model_file(tmp_path / "net.yaml", input_shape=(4,))
        return
    with pytest.raises(ConfigError) as caught:
        load_model_file(tmp_path / "net.yaml", input_shape=(4,))
    assert message in caught.value.render()
    assert "net.yaml" in caught.value.render()


def test_an_alias_bomb_is_refused(tmp_path):
    lines = ["a0: &a0 [relu, relu, relu, relu, relu, relu, relu, relu, relu]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (tmp_path / "net.yaml").write_text("\n".join([*lines, "layers: *a8"]))
    with pytest.raises(ConfigError):
        load_model_file(tmp_path / "net.yaml", input_shape=(4,))
    with pytest.raises(ConfigError, match="more than 100000 entries"):
        build({"layers": yaml.safe_load("\n".join(lines))["a8"]}, input_shape=(4,))


def test_repeats_of_repeats_end(monkeypatch):
    monkeypatch.setattr(nodes, "MAX_VALUES", 100)
    endless = {"repeat": {"times": 1000, "layers": [{"repeat": {"times": 1000, "layers": ["relu"]}}]}}
    with pytest.raises(ConfigError, match="more than 100 layers"):
        build([endless], input_shape=(4,))


def test_no_file_and_no_shape(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_model_file(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="shape of the input is not known"):
        build(["relu"])


def test_what_cannot_be_written_down():
    x, double = Input((4,)), Input((4,), dtype="float64")
    with pytest.raises(ConfigError, match="own: a layer that is known only as an object"):
        Model(x, layer(torch.nn.Linear(4, 2), name="own")(x)).to_spec()
    with pytest.raises(ConfigError, match="head: the option"):
        Model(double, layer("linear", 2, dtype=torch.float64, name="head")(double)).to_spec()
    spec = Model(x, layer(torch.nn.Linear, 2, name="dense")(x)).to_spec()
    assert spec["layers"][0]["linear"] == {"in_features": 4, "out_features": 2}
