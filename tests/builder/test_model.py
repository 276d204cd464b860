"""The functional API: any topology, plain modules that train, save, compile, trace and export."""

import copy
import pickle
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import fx, nn

from scirs_neural.builder import Input, Model, Sequential, concat, layer, residual
from scirs_neural.core.errors import ConfigError, ShapeError


def two_by_two():
    """Two inputs, two outputs, one shared layer."""
    left, right = Input((6,), name="left"), Input((6,), name="right")
    shared = layer("linear", 8, name="shared")
    a, b = layer("relu")(shared(left)), layer("relu")(shared(right))
    joined = concat([a, b, a * b])
    return Model([left, right], {"kind": layer("linear", 3, name="kind")(joined), "near": (a - b)[:, 0] * 2.0})


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 6, generator=generator), torch.randn(16, 6, generator=generator)


@pytest.mark.feature(53)
def test_two_inputs_two_outputs_and_a_shared_layer_train(batch):
    torch.manual_seed(0)
    model = two_by_two()
    assert sorted(model.state_dict()) == ["kind.bias", "kind.weight", "shared.bias", "shared.weight"]
    target = (batch[0][:, 0] > batch[1][:, 0]).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        out = model(*batch)
        loss = nn.functional.cross_entropy(out["kind"], target) + (out["near"] - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.feature(53)
def test_equals_the_same_net_by_hand(batch):
    model = two_by_two()
    a, b = (torch.relu(model.shared(x)) for x in batch)
    out = model(*batch)
    assert torch.equal(out["kind"], model.kind(torch.cat([a, b, a * b], 1)))
    assert torch.equal(out["near"], (a - b)[:, 0] * 2.0)


@pytest.mark.feature(53)
def test_saves_without_pickle(batch, tmp_path):
    model, twin = two_by_two(), two_by_two()
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    twin.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert torch.equal(model(*batch)["kind"], twin(*batch)["kind"])


@pytest.mark.feature(53)
def test_copies_and_pickles(batch):
    model = two_by_two()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin, Model)
        assert torch.equal(model(*batch)["kind"], twin(*batch)["kind"])
        assert twin.shared.weight is not model.shared.weight
        assert twin.nodes == model.nodes


@pytest.mark.feature(53)
def test_compiles_whole_exports_and_traces(batch):
    model = two_by_two()
    expected = model(*batch)
    compiled = torch.compile(model, fullgraph=True, backend="eager")(*batch)
    exported = torch.export.export(model, batch).module()(*batch)
    traced = fx.symbolic_trace(model)(*batch)
    for out in (compiled, exported, traced):
        assert torch.allclose(out["kind"], expected["kind"])
        assert torch.allclose(out["near"], expected["near"])


@pytest.mark.feature(53)
def test_exports_to_onnx(batch, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = two_by_two().eval()
    torch.onnx.export(model, batch, tmp_path / "net.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    names = [x.name for x in session.get_inputs()]
    found = session.run(None, {name: x.numpy() for name, x in zip(names, batch, strict=True)})
    expected = model(*batch)
    assert torch.allclose(torch.tensor(found[0]), expected["kind"], atol=1e-5)
    assert torch.allclose(torch.tensor(found[1]), expected["near"], atol=1e-5)


@pytest.mark.feature(53)
def test_cycles_are_refused():
    x = Input((4,))
    first = layer("relu", name="first")
    y = first(x)
    z = layer("tanh", name="second")(y)
    y.node.operands[0] = z  # only by force: symbols themselves cannot make a cycle
    with pytest.raises(ConfigError, match="the graph has a cycle: second <- first <- second"):
        Model(x, z)


def test_several_outputs_come_as_they_were_given():
    x = Input((4,))
    y = layer("linear", 2)(x)
    data = torch.ones(3, 4)
    assert isinstance(Model(x, y)(data), torch.Tensor)
    assert isinstance(Model(x, [y, x])(data), tuple)
    assert Model({"image": x}, {"a": y})(image=data)["a"].shape == (3, 2)


def test_operators():
    x, y = Input((3, 4)), Input((3, 4))
    model = Model(
        [x, y], [x + y, 1 - x, x - 1, 2 * x, x / y, 3 / x, -x, x @ layer("permute", [0, 2, 1])(y), x[:, 1], x[:, :, -1]]
    )
    a, b = torch.rand(2, 2, 3, 4) + 1
    expected = [a + b, 1 - a, a - 1, 2 * a, a / b, 3 / a, -a, a @ b.mT, a[:, 1], a[:, :, -1]]
    assert all(torch.equal(o, e) for o, e in zip(model(a, b), expected, strict=True))
    joined = Model([x, y], [torch.cat([x, y], 1), torch.stack((x, y), dim=2)])
    assert [tuple(o.shape) for o in joined(a, b)] == [(2, 6, 4), (2, 3, 2, 4)]


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"mean": {"dim": [2, 3]}}, (2, 3)),
        ({"amax": {"dim": 1}}, (2, 4, 5)),
        ({"reshape": {"shape": [3, 20]}}, (2, 3, 20)),
        ({"transpose": {"dim0": 1, "dim1": 2}}, (2, 4, 3, 5)),
    ],
)
def test_operations_by_name(spec, shape):
    from scirs_neural.builder import chain

    x = Input((3, 4, 5))
    assert Model(x, chain(spec)(x))(torch.zeros(2, 3, 4, 5)).shape == shape


def test_names_are_numbered_and_given_ones_kept():
    x = Input((4,))
    y = layer("linear", 4)(x)
    y = layer("linear", 4, name="linear_1")(y)
    y = residual([{"linear": 4}])(y)
    y = residual([{"linear": 4}])(y)
    y = layer("linear", 4)(y)
    names = {name.rpartition(".")[0] for name in Model(x, y).state_dict()}
    assert names == {"linear", "linear_1", "residual.body.0", "residual_1.body.0", "linear_2"}


def test_a_shared_block_shares_its_projection():
    x, y = Input((4,)), Input((4,))
    block = residual([{"linear": 6}, "relu"], name="block")
    model = Model([x, y], [block(x), block(y)])
    assert sorted(model.state_dict()) == ["block.body.0.bias", "block.body.0.weight", "block.projection.0.weight"]
    a = torch.randn(2, 4)
    first, second = model(a, a)
    assert torch.equal(first, second)


class Doubler(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.feature(54)
def test_a_plain_module_of_the_users_is_a_layer():
    x = Input((4,))
    y = layer(Doubler, factor=3.0)(layer(Doubler())(layer(nn.Linear, 5, name="dense")(x)))
    model = Model(x, y)
    a = torch.randn(2, 4)
    assert torch.equal(model(a), model.dense(a) * 2 * 3)


def test_memory_is_freed_on_the_way():
    x = Input((4,))
    y = x
    for _ in range(5):
        y = layer("relu")(y)
    assert "h0" not in Model(x, y).code


def test_hooks_and_modes_work_as_ever(batch):
    model = two_by_two()
    seen = []
    handle = model.shared.register_forward_hook(lambda m, a, o: seen.append(o.shape))
    model.eval()(*batch)
    handle.remove()
    assert seen == [(16, 8), (16, 8)]
    assert not model.kind.training
    assert model.double().kind.weight.dtype == torch.float64


x4 = Input((4,))
FAULTS = [
    (lambda: Model(x4, layer("relu")(Input((4,)))), "not among the model's inputs"),
    (lambda: Model([x4, Input((2,))], layer("relu")(x4)), "no output depends on the input"),
    (lambda: Model(layer("relu")(x4), x4), "make it with Input"),
    (lambda: Model([], x4), "needs an input"),
    (lambda: Model([x4, x4], x4), "there twice"),
    (lambda: Model(x4, 3), "the model's output is 3"),
    (lambda: Model({"class": x4}, x4), "cannot be named 'class'"),
    (lambda: Model(x4, layer("linear", 2, name="a")(x4) + layer("linear", 2, name="a")(x4)), "two parts of the model"),
    (lambda: Model(x4, layer("linear", 2, name="forward")(x4)), "cannot be named 'forward'"),
    (lambda: Model(x4, layer("linear", 2, name="a.b")(layer("linear", 2, name="a")(x4))), "lies inside the layer 'a'"),
    (lambda: Model(x4, layer("linear", 2, name="x")(x4)), "two parts of the model are named 'x'"),
    (lambda: nn.Linear(4, 2)(x4), "symbolic tensor"),
    (lambda: layer("linear", 2)(torch.zeros(2, 4)), "expected a symbolic tensor"),
    (lambda: layer("linear", 2, out_features=2)(x4), "got 'out_features' twice"),
    (lambda: layer("linear", 2, True, None, None, 7)(x4), "takes 4 options"),
    (lambda: layer(nn.ReLU(), inplace=True), "built already"),
    (lambda: layer(7), "not a layer"),
    (lambda: x4 if x4 else 0, "cannot branch"),
    (lambda: list(x4), "cannot be iterated"),
    (lambda: x4[:, 1:3], "one dimension only"),
    (lambda: x4 + "a", "expected a symbol or number"),
    (lambda: x4 * float("inf"), "expected a symbol or number"),
    (lambda: Input((4,), dtype="float33"), "dtype"),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_faults(make, message):
    with pytest.raises(ConfigError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(0,), (-1, 2), ("a",), (True,)])
def test_faulty_input_shapes(shape):
    with pytest.raises(ShapeError, match="input shape"):
        Input(shape)


def test_shapes_that_do_not_add():
    with pytest.raises(ShapeError, match=r"'add' cannot take \(N, 4\) and \(N, 3\)"):
        x4 + Input((3,))


@pytest.mark.feature(53)
def test_no_python_call_more_than_by_hand():
    """The gate for run time: counted, not timed (benchmarks/functional_overhead.py times it)."""

    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu, self.second = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)

        def forward(self, x):
            return x + self.second(self.relu(self.first(x)))

    x = Input((4,))
    built = Model(x, x + layer("linear", 4)(layer("relu")(layer("linear", 4)(x))))
    nested = Sequential([residual([{"linear": 4}, "relu", {"linear": 4}])], (4,))

    def calls(net):
        count, data = 0, torch.zeros(2, 4)

        def seen(frame, event, argument):
            nonlocal count
            count += event == "call"

        net(data)
        sys.setprofile(seen)
        try:
            net(data)
        finally:
            sys.setprofile(None)
        return count

    assert calls(built) == calls(ByHand())
    assert calls(nested) <= calls(built)
