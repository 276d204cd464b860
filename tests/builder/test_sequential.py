"""Networks as lists: shapes inferred, torch's own keys, grown by add, trained on digits."""

import copy
import pickle
from collections import Counter

import pytest
import torch
from torch import nn

from scirs_neural.builder import Sequential, build, load_model_file
from scirs_neural.builder import model as model_module
from scirs_neural.builder.layer_node import LayerNode
from scirs_neural.core.errors import ConfigError, ShapeError

NET = """\
# a small convolutional net for 8x8 digits
input_shape: [1, 8, 8]
layers:
  - conv2d:
      out_channels: 16
      kernel_size: 3
      padding: 1
    as: stem
    init: kaiming_normal
  - batch_norm2d
  - relu
  - max_pool2d: 2
  - repeat:
      times: 2
      layers:
        - residual:
            layers:
              - conv2d: [16, 3, 1, 1]
              - batch_norm2d
              - relu
              - conv2d: [16, 3, 1, 1]
              - batch_norm2d
            activation: relu
    as: blocks
  - adaptive_avg_pool2d: 2
  - flatten
  - dropout: 0.1
  - linear: num_classes
    as: head
"""


@pytest.mark.feature(52)
def test_a_thirty_line_yaml_net_learns_digits(tmp_path, fit):
    assert NET.count("\n") <= 32
    (tmp_path / "my_net.yaml").write_text(NET)
    torch.manual_seed(0)
    net = load_model_file(tmp_path / "my_net.yaml", num_classes=10)
    accuracy = fit(net, steps=120)
    print(f"YAML net on digits: {accuracy:.4f}")
    assert accuracy > 0.95
    assert {"stem.weight", "blocks.1.0.body.3.weight", "head.bias"} <= set(net.state_dict())


@pytest.mark.feature(52)
def test_keys_and_values_of_torchs_sequential():
    torch.manual_seed(0)
    ours = Sequential([{"conv2d": [4, 3]}, "relu", "flatten", {"linear": 10}], (1, 8, 8))
    torch.manual_seed(0)
    ref = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    x = torch.randn(3, 1, 8, 8)
    assert list(ours.state_dict()) == list(ref.state_dict())
    assert torch.equal(ours(x), ref(x))
    ref.load_state_dict(ours.state_dict())


INFERRED = [
    ("linear", {"out_features": 3}, (5,), {"in_features": 5}),
    ("conv1d", {"out_channels": 3, "kernel_size": 1}, (5, 9), {"in_channels": 5}),
    ("conv_transpose2d", {"out_channels": 3, "kernel_size": 2}, (5, 4, 4), {"in_channels": 5}),
    ("batch_norm2d", {}, (5, 4, 4), {"num_features": 5}),
    ("group_norm", {"num_groups": 2}, (6, 4, 4), {"num_channels": 6}),
    ("layer_norm", {}, (7, 6), {"normalized_shape": (6,)}),
    ("layer_norm2d", {}, (7, 6, 6), {"normalized_shape": (7,)}),
    ("self_attention", {"num_heads": 2}, (7, 6), {}),
    ("separable_conv2d", {"out_channels": 3, "kernel_size": 3}, (5, 8, 8), {}),
    ("mlp", {"hidden_channels": [4, 2]}, (5,), {}),
    ("squeeze_excitation", {"squeeze_channels": 2}, (5, 4, 4), {}),
    ("transformer_encoder_layer", {"nhead": 2}, (7, 6), {}),
]


@pytest.mark.feature(52)
@pytest.mark.parametrize(("name", "options", "shape", "expected"), INFERRED)
def test_what_is_inferred(name, options, shape, expected):
    net = Sequential([{name: options}], shape)
    for attribute, value in expected.items():
        assert getattr(net.get_submodule("0"), attribute) == value
    assert net.eval()(torch.randn(3, *shape)).shape[1:] == net.output_shape[1:]


def test_recurrent_layers_are_batch_first():
    net = Sequential(
        [{"lstm": {"hidden_size": 8}}, {"item": {"index": 0}}, {"select": {"dim": 1, "index": -1}}], (5, 3)
    )
    ref = nn.LSTM(3, 8, batch_first=True)
    ref.load_state_dict(net.get_submodule("0").state_dict())
    x = torch.randn(4, 5, 3)
    assert torch.equal(net(x), ref(x)[0][:, -1])


def test_add_keeps_what_is_there():
    net = Sequential([{"linear": 4}], (3,))
    before = net.get_submodule("0").weight
    assert net.add("relu") is net
    net.add({"residual": [{"linear": 6}]}).add({"linear": 2})
    projection = net.get_submodule("2.projection.0").weight
    net.add("tanh")
    assert net.get_submodule("0").weight is before
    assert net.get_submodule("2.projection.0").weight is projection
    assert net(torch.zeros(7, 3)).shape == (7, 2)
    net._modules["0"] = nn.Linear(3, 4, bias=False)  # somebody puts another layer in its place
    net.add("relu")
    assert "0.bias" not in net.state_dict()


def test_a_failed_add_changes_nothing():
    net = Sequential([{"linear": 4}], (3,))
    with pytest.raises(ShapeError, match="1: 'conv2d' cannot take"):
        net.add({"conv2d": [4, 3]})
    assert net(torch.zeros(2, 3)).shape == (2, 4)
    with pytest.raises(ConfigError, match="cannot hold itself"):
        net.add(net)


def test_a_loop_of_add_takes_time_in_proportion_to_its_length(monkeypatch):
    calls = Counter()
    for owner, name in ((LayerNode, "apply"), (model_module, "write_code"), (model_module, "_attach")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, _n=name, _f=original, **k: calls.update([_n]) or _f(*a, **k))
    net = Sequential([], (4,))
    for _ in range(40):
        net.add({"linear": 4})
    assert net(torch.zeros(2, 4)).shape == (2, 4)
    assert calls == {"apply": 40, "_attach": 40, "write_code": 2}
    symbols = [x for x in net._scope.values.values() if x.node is not None]
    assert symbols == []  # nothing that a copy would have to walk through
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net.add("relu"))))
    assert torch.equal(twin(torch.ones(2, 4)), net(torch.ones(2, 4)))
    twin.add({"call": "0", "from": "0", "as": "again"})
    assert [node.module for node in twin.nodes if not node.first] == ["0"]


def test_what_was_added_is_there_however_the_network_is_used_next():
    def grown():
        torch.manual_seed(0)
        return Sequential([{"linear": 4}], (3,)).eval().add({"dropout": 0.5}).add({"linear": 2})

    x = torch.randn(5, 3)
    expected = grown()(x)
    assert not grown().get_submodule("1").training
    assert torch.equal(torch.compile(grown(), fullgraph=True, backend="eager")(x), expected)
    assert torch.equal(torch.export.export(grown(), (x,)).module()(x), expected)
    assert "self._modules['2']" in grown().code
    assert len(grown().to_spec()["layers"]) == 3
    assert "58" not in grown().summary()


def test_a_failed_add_of_a_named_layer_leaves_no_trace():
    net = Sequential([{"linear": 4, "as": "body"}], (3,))
    for bad in ({"linear": 2, "as": "train"}, {"linear": 2, "as": "body"}, {"lstm": 3}):
        with pytest.raises((ConfigError, ShapeError)):
            net.add(bad)
    assert net.add({"linear": 2, "as": "head"}).output_shape == (None, 2)
    assert list(net.state_dict()) == ["body.weight", "body.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize("first", [{"dense": 10}, {"lazy_linear": 10}, nn.LazyLinear(10)], ids=str)
def test_lazy_layers_take_their_sizes_from_the_network(first):
    net = Sequential([first, {"lazy_batch_norm1d": {}}, "relu", {"linear": 3}], (7,))
    assert next(net.parameters()).shape[-1] == 7
    assert net(torch.zeros(5, 7)).shape == (5, 3)
    assert net.training
    build(Sequential([{"dense": 10}], (7,)).to_spec())


def test_a_copy_shares_nothing():
    net = Sequential([{"linear": 4}, "relu"], (3,))
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.get_submodule("0").weight.zero_()
    assert net.get_submodule("0").weight.abs().sum() > 0
    assert type(twin).__name__ == "Sequential"
    twin.add({"linear": 2})
    assert twin.get_submodule("0").weight.abs().sum() == 0


@pytest.mark.feature(52)
def test_a_wrong_shape_at_run_time_names_the_layer():
    net = Sequential([{"conv2d": [4, 3]}, "relu", "flatten", {"linear": 10}], (1, 8, 8))
    with pytest.raises(ShapeError) as caught:
        net(torch.zeros(2, 1, 9, 9))
    assert "3: 'linear' cannot take (2, 196)" in str(caught.value)
    assert "built for x (N, 1, 8, 8)" in str(caught.value)
    assert net.training


def test_other_faults_at_run_time_come_as_they_are():
    net = Sequential([{"linear": 4}, "batch_norm1d"], (3,))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.zeros(1, 3))
    with pytest.raises(RuntimeError, match="meta"):
        net(torch.zeros(2, 3, device="meta"))


def test_empty_list_gives_its_input_back():
    x = torch.ones(2, 3)
    assert Sequential([], (3,))(x) is x


def test_nested_names_compile_export_and_trace():
    net = Sequential(
        [{"residual": [{"conv2d": [4, 3, 2, 1]}, "relu"], "as": "block"}, "flatten", {"linear": 2}], (3, 8, 8)
    )
    x = torch.randn(2, 3, 8, 8)
    expected = net(x)
    assert torch.allclose(torch.compile(net, fullgraph=True, backend="eager")(x), expected)
    assert torch.allclose(torch.export.export(net, (x,)).module()(x), expected)
    assert torch.allclose(torch.fx.symbolic_trace(net)(x), expected)
