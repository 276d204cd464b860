"""Compositions against torchvision's own blocks, and what skips are for."""

import pytest
import torch
from torch import nn
from torchvision.models.densenet import _DenseBlock
from torchvision.models.googlenet import Inception
from torchvision.models.resnet import BasicBlock

from scirs_neural.builder import (
    Input,
    Model,
    Sequential,
    branch,
    chain,
    dense_skip,
    gated_skip,
    layer,
    parallel,
    repeat,
    residual,
)
from scirs_neural.core.errors import ConfigError, ShapeError


def copy_by_order(ours, ref):
    """The reference's weights, tensor for tensor in order of definition."""
    state, values = ours.state_dict(), list(ref.state_dict().values())
    assert [tuple(v.shape) for v in state.values()] == [tuple(v.shape) for v in values]
    ours.load_state_dict(dict(zip(state, values, strict=True)))
    return ours.eval(), ref.eval()


@pytest.mark.feature(55)
def test_inception_block_in_six_lines_equals_torchvisions():
    torch.manual_seed(0)

    def conv(channels, kernel=1):
        convolution = {"out_channels": channels, "kernel_size": kernel, "padding": kernel // 2, "bias": False}
        return [{"conv2d": convolution}, {"batch_norm2d": {"eps": 0.001}}, "relu"]

    pooled = [{"max_pool2d": [3, 1, 1]}, *conv(8)]
    block = parallel([conv(8), conv(6) + conv(12, 3), conv(4) + conv(8, 3), pooled])
    ours, ref = copy_by_order(Sequential([block], (16, 14, 14)), Inception(16, 8, 6, 12, 4, 8, 8))
    x = torch.randn(2, 16, 14, 14)
    assert torch.allclose(ours(x), ref(x), rtol=1e-5, atol=1e-6)


BODY = [
    {"conv2d": {"out_channels": 16, "kernel_size": 3, "stride": 2, "padding": 1, "bias": False}},
    "batch_norm2d",
    "relu",
    {"conv2d": {"out_channels": 16, "kernel_size": 3, "padding": 1, "bias": False}},
    "batch_norm2d",
]


@pytest.mark.feature(56)
def test_resnet_basic_block_equals_torchvisions():
    torch.manual_seed(0)
    block = residual(BODY, projection_norm="batch_norm2d", activation="relu")
    down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    ours, ref = copy_by_order(Sequential([block], (8, 16, 16)), BasicBlock(8, 16, 2, down))
    x = torch.randn(2, 8, 16, 16)
    assert torch.equal(ours(x), ref(x))
    same = [{**BODY[0], "conv2d": {**BODY[0]["conv2d"], "stride": 1}}, *BODY[1:]]
    ours, ref = copy_by_order(Sequential([residual(same, activation="relu")], (16, 9, 9)), BasicBlock(16, 16))
    x = torch.randn(1, 16, 9, 9)
    assert torch.equal(ours(x), ref(x))


@pytest.mark.feature(56)
def test_densenet_block_equals_torchvisions():
    torch.manual_seed(0)
    body = [
        "batch_norm2d", "relu", {"conv2d": {"out_channels": 16, "kernel_size": 1, "bias": False}},
        "batch_norm2d", "relu", {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": 1, "bias": False}},
    ]  # fmt: skip
    net = Sequential([dense_skip(body, times=3)], (8, 7, 7))
    ours, ref = copy_by_order(net, _DenseBlock(3, 8, bn_size=4, growth_rate=4, drop_rate=0.0))
    x = torch.randn(2, 8, 7, 7)
    assert torch.allclose(ours(x), ref(x), rtol=1e-5, atol=1e-6)


def conv(channels):
    return [{"conv2d": [channels, 3, 1, 1]}, "relu"]


@pytest.mark.feature(56)
def test_a_u_net_from_named_taps():
    net = Sequential(
        [
            {"sequential": conv(8), "as": "enc1"},
            {"max_pool2d": 2},
            {"sequential": conv(16), "as": "enc2"},
            {"max_pool2d": 2},
            *conv(32),
            {"conv_transpose2d": [16, 2, 2]},
            {"concat": None, "with": "enc2"},
            *conv(16),
            {"conv_transpose2d": [8, 2, 2]},
            {"concat": None, "with": "enc1"},
            *conv(8),
            {"conv2d": [3, 1]},
        ],
        (1, 16, 24),
    )
    assert net.output_shape == (None, 3, 16, 24)
    x = torch.randn(2, 1, 16, 24)
    by_hand = net  # the same layers, called by hand

    def run(*names):
        def f(x):
            for name in names:
                x = by_hand.get_submodule(name)(x)
            return x

        return f

    e1 = run("enc1.0", "enc1.1")(x)
    e2 = run("1", "enc2.0", "enc2.1")(e1)
    d = run("3", "4", "5", "6")(e2)
    d = run("8", "9", "10")(torch.cat([d, e2], 1))
    assert torch.equal(net(x), run("12", "13", "14")(torch.cat([d, e1], 1)))


def test_taps_reach_into_blocks_and_side_paths():
    net = Sequential(
        [
            {"sequential": [{"linear": 4}, "relu"], "as": "stem"},
            {"branch": [{"linear": 2}], "as": "aux"},
            {"linear": 5},
            {"concat": None, "with": ["aux", "stem.0"]},
            {"add": None, "with": 1.0},
        ],
        (3,),
    )
    x = torch.randn(6, 3)
    first = net.get_submodule("stem.0")(x)
    h = first.relu()
    expected = torch.cat([net.get_submodule("2")(h), net.get_submodule("aux.0")(h), first], 1) + 1.0
    assert torch.equal(net(x), expected)
    x = Input((3,))
    listed = chain({"linear": 3}, branch([{"linear": 2}], name="side"), {"concat": None, "with": "side"})
    assert listed(x).shape == (None, 5)


@pytest.mark.parametrize(
    ("shape", "body", "kind"),
    [
        ((8,), [{"linear": 6}], nn.Linear),
        ((5, 8), [{"linear": 6}], nn.Linear),
        ((8, 10), [{"conv1d": [6, 3, 2, 1]}], nn.Conv1d),
        ((8, 9, 7), [{"conv2d": [6, 3, 2, 1]}], nn.Conv2d),
        ((8, 8, 8), [{"conv2d": {"out_channels": 8, "kernel_size": 3, "stride": [2, 1], "padding": 1}}], nn.Conv2d),
        ((2, 4, 6, 8), [{"conv3d": [3, 3, 2, 1]}], nn.Conv3d),
    ],
)
def test_automatic_projections(shape, body, kind):
    net = Sequential([residual(body)], shape)
    assert type(net.get_submodule("0.projection.0")) is kind
    assert net(torch.randn(2, *shape)).shape[1:] == net.output_shape[1:]


def test_own_projection_and_none():
    net = Sequential([residual([{"linear": 6}], projection=[{"linear": 6}, "relu"])], (8,))
    assert "0.projection.0.bias" in net.state_dict()
    with pytest.raises(ShapeError, match=r"0.add: 'add' cannot take \(N, 6\) and \(N, 8\)"):
        Sequential([residual([{"linear": 6}], projection="none")], (8,))
    with pytest.raises(ShapeError, match="no projection takes"):
        Sequential([residual(["flatten", {"linear": 7}])], (8, 4))


def test_gated_skip_is_a_highway():
    torch.manual_seed(0)
    net = Sequential([gated_skip([{"linear": 8}, "relu"], gate_bias=-3.0)], (8,))
    x = torch.randn(5, 8)
    g = net.get_submodule("0.gate.0")(x).sigmoid()
    y = net.get_submodule("0.body.0")(x).relu()
    assert torch.allclose(net(x), g * y + (1 - g) * x, atol=1e-6)
    assert (net.get_submodule("0.gate.0").bias == -3).all()
    narrow = Sequential([gated_skip([{"conv2d": [4, 3, 2, 1]}])], (8, 6, 6))
    assert narrow.output_shape == (None, 4, 3, 3)


def test_repeat_makes_new_parameters_each_time():
    net = Sequential([repeat(3, [{"linear": 4}])], (4,))
    weights = [net.get_submodule(f"0.{i}.0").weight for i in range(3)]
    assert len({id(w) for w in weights}) == 3
    assert not torch.equal(weights[0], weights[1])
    made = Sequential([repeat(2, lambda: [nn.Linear(4, 4)])], (4,))
    assert len(list(made.parameters())) == 4
    with pytest.raises(ConfigError, match="cannot be repeated"):
        repeat(2, [nn.Linear(4, 4)])


@pytest.mark.parametrize("merge", ["add", "mul"])
def test_parallel_merges(merge):
    net = Sequential([{"parallel": {"branches": {"a": [{"linear": 4}], "b": ["relu"]}, "merge": merge}}], (4,))
    x = torch.randn(3, 4)
    a, b = net.get_submodule("0.a.0")(x), x.relu()
    assert torch.equal(net(x), a + b if merge == "add" else a * b)


@pytest.mark.feature(55)
def test_freeze_and_init():
    items = [
        {"linear": 4, "init": {"weight": {"name": "constant", "val": 0.5}, "bias": 1}, "freeze": True},
        {"linear": 2},
    ]
    net = Sequential(items, (3,))
    assert torch.equal(net.get_submodule("0").weight, torch.full((4, 3), 0.5))
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True]
    plain = layer("conv2d", 4, 3, init="zeros")
    Model(x := Input((1, 8, 8)), plain(x))
    assert (plain.module.weight == 0).all()


@pytest.mark.feature(56)
def test_fifty_layers_learn_only_with_skips(fit):
    body = [{"linear": 32}, "batch_norm1d", "relu", {"linear": 32}, "batch_norm1d"]

    def deep(block):
        torch.manual_seed(0)
        return Sequential(["flatten", {"linear": 32}, repeat(24, block), {"linear": 10}], (1, 8, 8))

    plain, skip = fit(deep([*body, "relu"]), lr=3e-3, steps=100), fit(deep([{"residual": body}]), lr=3e-3, steps=100)
    print(f"50 layers on digits: plain {plain:.3f}, residual {skip:.3f}")
    assert plain < 0.5
    assert skip > 0.95
