import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import create_layer
from scirs_neural.layers.same_padding import same_pads
from scirs_neural.layers.separable import SeparableConv2d, depthwise_conv2d

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 7)}


def grads(output, *leaves):
    return torch.autograd.grad((output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum(), leaves)


@pytest.mark.feature(6)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_same_keeps_size_at_stride_1_and_equals_torch(dims, kernel, dilation, batch):
    ours = create_layer(f"same_conv{dims}d", 4, 6, kernel, dilation=dilation, groups=2, dtype=torch.float64)
    x = torch.randn(batch, 4, *SIZES[dims], dtype=torch.float64, requires_grad=True)
    y = ours(x)
    assert y.shape[2:] == x.shape[2:]
    total = dilation * (kernel - 1)
    pads = [total // 2, total - total // 2] * dims  # every dimension alike
    theirs = CONV[dims](4, 6, kernel, dilation=dilation, groups=2, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    reference = theirs(F.pad(x, pads))
    torch.testing.assert_close(y, reference, rtol=1e-10, atol=1e-12)
    for a, b in zip(grads(y, x, *ours.parameters()), grads(reference, x, *theirs.parameters()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(6)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_same_equals_torchs_same_for_odd_kernels(dims, kernel):
    ours = create_layer(f"same_conv{dims}d", 2, 3, kernel)
    theirs = create_layer(f"conv{dims}d", 2, 3, kernel, padding="same")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 2, *SIZES[dims])
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_gives_ceil_of_size_over_stride(size, kernel, stride):
    assert create_layer("same_conv1d", 1, 1, kernel, stride)(torch.randn(2, 1, size)).shape[2] == -(-size // stride)
    assert create_layer("same_max_pool1d", kernel, stride)(torch.randn(2, 1, size)).shape[2] == -(-size // stride)
    before, after = same_pads(size, kernel, stride)
    assert 0 <= after - before <= 1  # the odd element goes to the end


def test_same_conv_pads_as_its_mode_says():
    ours = create_layer("same_conv2d", 1, 1, (3, 1), padding_mode="circular")
    theirs = nn.Conv2d(1, 1, (3, 1), padding=(1, 0), padding_mode="circular")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 1, 5, 4)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.feature(7)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 0), (3, 2, 1), (4, 3, 1), (2, 2, 0)])
def test_transposed_convolution_is_the_adjoint(dims, kernel, stride, padding):
    forward = create_layer(f"conv{dims}d", 3, 4, kernel, stride, padding, bias=False, dtype=torch.float64)
    adjoint = create_layer(f"conv_transpose{dims}d", 4, 3, kernel, stride, padding, bias=False, dtype=torch.float64)
    adjoint.load_state_dict(forward.state_dict())
    x = torch.randn(2, 3, *SIZES[dims], dtype=torch.float64)
    y = torch.randn_like(forward(x))
    left, right = (forward(x) * y).sum(), (x * adjoint(y, output_size=x.shape[2:])).sum()
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.feature(7)
@pytest.mark.parametrize("size", [(9, 7), (10, 13), (31, 17)])
def test_a_unet_decoder_restores_odd_sizes(size):
    down = [create_layer("conv2d", 2, 2, 3, stride=2, padding=1) for _ in range(2)]
    up = [create_layer("conv_transpose2d", 2, 2, 3, stride=2, padding=1) for _ in range(2)]
    x = torch.randn(1, 2, *size)
    skips = [x]
    for layer in down:
        skips.append(layer(skips[-1]))
    y = skips.pop()
    for layer in up:
        skip = skips.pop()
        y = layer(y, output_size=skip.shape[2:]) + skip
    assert y.shape == x.shape


@pytest.mark.feature(8)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize(("padding", "kernel"), [(1, 3), ("same", 4), ("valid", 3)])
def test_separable_equals_two_convolutions(dims, multiplier, padding, kernel):
    ours = create_layer(
        f"separable_conv{dims}d", 4, 6, kernel, padding=padding, depth_multiplier=multiplier, activation="relu"
    ).double()
    middle = 4 * multiplier
    first = CONV[dims](4, middle, kernel, padding=0, groups=4).double()
    second = CONV[dims](middle, 6, 1).double()
    first.load_state_dict(ours.depthwise.state_dict())
    second.load_state_dict(ours.pointwise.state_dict())
    x = torch.randn(2, 4, *SIZES[dims], dtype=torch.float64, requires_grad=True)
    pads = {1: (1, 1), "same": (1, 2), "valid": (0, 0)}[padding] * dims
    reference = second(torch.relu(first(F.pad(x, pads))))
    y = ours(x)
    torch.testing.assert_close(y, reference, rtol=1e-10, atol=1e-12)
    theirs = [*first.parameters(), *second.parameters()]
    for a, b in zip(grads(y, x, *ours.parameters()), grads(reference, x, *theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(8)
@pytest.mark.parametrize(("kernel", "channels", "out"), [(3, 4, 8), (5, 7, 3)])
def test_separable_parameter_count(kernel, channels, out):
    layer = SeparableConv2d(channels, out, kernel, bias=False)
    assert sum(p.numel() for p in layer.parameters()) == kernel**2 * channels + channels * out
    with_norm = SeparableConv2d(channels, out, kernel, norm="batch_norm2d")
    assert with_norm.depthwise.bias is None  # the norm would take it out again
    assert with_norm.norm.num_features == channels


@pytest.mark.feature(9)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("multiplier", [1, 2, 3])
def test_depthwise_equals_torch_and_multiplies_channels(dims, multiplier):
    ours = create_layer(f"depthwise_conv{dims}d", 4, 3, depth_multiplier=multiplier, stride=2, padding=1).double()
    assert type(ours) is CONV[dims]
    x = torch.randn(2, 4, *SIZES[dims], dtype=torch.float64)
    y = ours(x)
    assert y.shape[1] == 4 * multiplier
    for channel in range(4):  # every input channel by itself
        part = slice(channel * multiplier, (channel + 1) * multiplier)
        alone = CONV[dims](1, multiplier, 3, stride=2, padding=1).double()
        alone.load_state_dict({"weight": ours.weight[part], "bias": ours.bias[part]})
        torch.testing.assert_close(y[:, part], alone(x[:, channel : channel + 1]), rtol=1e-10, atol=1e-12)


def test_wrong_input_is_named():
    with pytest.raises(ShapeError, match=r"SameConv2d expects \(N, C=3, H, W\), received \(2, 4, 5, 5\)"):
        create_layer("same_conv2d", 3, 4, 3)(torch.zeros(2, 4, 5, 5))
    with pytest.raises(ConfigError, match="depth_multiplier must be at least 1"):
        depthwise_conv2d(3, 3, depth_multiplier=0)


@pytest.mark.feature(5)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 64), (3, 64), (2, 5, 64), (0, 64)])
def test_dense_equals_linear_and_infers_its_input(bias, shape):
    ours = create_layer("dense", 10, activation="gelu", bias=bias)
    x = torch.randn(shape)
    ours(x)  # digits' 64 pixels
    theirs = nn.Linear(64, 10, bias=bias)
    theirs.load_state_dict(ours.linear.state_dict())
    torch.testing.assert_close(ours(x), F.gelu(theirs(x)), rtol=1e-6, atol=1e-6)


def test_dense_init():
    layer = create_layer("dense", 3, in_features=5, init="orthogonal")
    torch.testing.assert_close(layer.linear.weight @ layer.linear.weight.T, torch.eye(3))
    assert not layer.linear.bias.any()
    with pytest.raises(ConfigError) as caught:
        create_layer("dense", 3, in_features=5, init="orthogonl")
    assert caught.value.suggestions == ("orthogonal",)
    lazy = create_layer("dense", 3, init="orthogonal", activation="relu")
    lazy(torch.randn(2, 5))
    assert type(lazy.linear) is nn.Linear
    torch.testing.assert_close(lazy.linear.weight @ lazy.linear.weight.T, torch.eye(3))
    assert not lazy.linear.bias.any()
    loaded = create_layer("dense", 3, init="zeros")  # what is loaded is not drawn anew
    loaded.load_state_dict(layer.state_dict())
    loaded(torch.randn(2, 5))
    assert torch.equal(loaded.linear.weight, layer.linear.weight)


@pytest.mark.feature(6)
def test_conv1d_tells_waves_apart():
    torch.manual_seed(0)
    time = torch.linspace(0, 1, 64)
    labels = torch.arange(3).repeat(40)
    phase = 6.28 * torch.rand(120, 1)
    waves = torch.sin(6.28 * (2.0 + 3 * labels[:, None]) * time + phase)[:, None] + 0.3 * torch.randn(120, 1, 64)
    net = nn.Sequential(
        create_layer("same_conv1d", 1, 8, 8, stride=2), nn.ReLU(), create_layer("conv1d", 8, 8, 5), nn.ReLU(),
        create_layer("global_avg_pool"), nn.Linear(8, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    train, test = slice(0, 90), slice(90, 120)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(waves[train]), labels[train]).backward()
        optimizer.step()
    assert (net(waves[test]).argmax(1) == labels[test]).float().mean() >= 0.95
