import pytest
import torch
import torch.nn.functional as F

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import create_layer
from scirs_neural.layers.same_padding import same_pads

SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 7)}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@pytest.mark.feature(10)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_max_pool_equals_windows_cut_at_the_border(dims, kernel, stride):
    x = torch.randn(2, 3, *SIZES[dims], dtype=torch.float64) - 50.0  # far below 0: a zero pad would win
    y = create_layer(f"same_max_pool{dims}d", kernel, stride)(x)
    reference = x
    for dim in range(2, x.dim()):  # one dimension after the other, without any padding
        before, _ = same_pads(x.shape[dim], kernel, stride)
        starts = [i * stride - before for i in range(-(-x.shape[dim] // stride))]
        columns = [
            reference.narrow(dim, max(s, 0), min(s + kernel, x.shape[dim]) - max(s, 0)).amax(dim) for s in starts
        ]
        reference = torch.stack(columns, dim)
    torch.testing.assert_close(y, reference, rtol=0, atol=0)


@pytest.mark.feature(10)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_pool_is_torchs_and_its_pad_never_wins(dims):
    x = torch.full((1, 2, *SIZES[dims]), -1e30)
    assert create_layer(f"max_pool{dims}d", 3, padding=1)(x).unique().tolist() == [x.min().item()]
    assert create_layer(f"same_max_pool{dims}d", 4)(x).unique().tolist() == [x.min().item()]
    x = torch.randn(2, 2, *SIZES[dims])
    torch.testing.assert_close(create_layer(f"max_pool{dims}d", 3, 2)(x), MAX[dims](x, 3, 2))


def test_same_max_pool_takes_whole_numbers_and_infinities():
    assert create_layer("same_max_pool2d", 2)(torch.tensor([[[[-5, -9, -7]]]])).tolist() == [[[[-5, -7]]]]
    nothing = torch.full((1, 1, 3), -torch.inf)
    assert create_layer("same_max_pool1d", 2)(nothing).tolist() == [[[-torch.inf, -torch.inf]]]


@pytest.mark.feature(11)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("include", [True, False])
def test_same_avg_pool_equals_torch_both_ways_at_the_border(dims, include):
    x = torch.randn(2, 3, *SIZES[dims], dtype=torch.float64, requires_grad=True)
    ours = create_layer(f"same_avg_pool{dims}d", 3, 1, count_include_pad=include)(x)
    theirs = create_layer(f"avg_pool{dims}d", 3, 1, padding=1, count_include_pad=include)(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    weights = torch.randn_like(ours)
    (a,), (b,) = (torch.autograd.grad((y * weights).sum(), x) for y in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(11)
def test_same_avg_pool_of_even_windows():
    x = torch.tensor([[[1.0, 2.0, 6.0]]])
    assert create_layer("same_avg_pool1d", 2, 1)(x).tolist() == [[[1.5, 4.0, 6.0]]]
    assert create_layer("same_avg_pool1d", 2, 1, count_include_pad=True)(x).tolist() == [[[1.5, 4.0, 3.0]]]


@pytest.mark.feature(12)
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (2, 4, 9, 7), (3, 4, 11), (2, 4, 3, 5, 2)])
def test_global_pools_give_one_vector_for_any_size(shape):
    x = torch.randn(shape)
    flat = x.flatten(2)
    torch.testing.assert_close(create_layer("global_avg_pool")(x), flat.mean(-1))
    torch.testing.assert_close(create_layer("global_max_pool")(x), flat.amax(-1))
    torch.testing.assert_close(create_layer("global_avg_max_pool")(x), (flat.mean(-1) + flat.amax(-1)) / 2)
    assert create_layer("gem_pool")(x).shape == shape[:2]
    assert create_layer("attention_pool", 4, num_heads=2)(x).shape == shape[:2]
    for name in ("global_avg_pool", "global_max_pool", "global_avg_max_pool", "gem_pool"):
        assert create_layer(name, keepdim=True)(x).shape == (*shape[:2], *[1] * (len(shape) - 2))


@pytest.mark.feature(12)
def test_gem_is_the_mean_at_1_and_nears_the_maximum():
    x = torch.rand(2, 3, 9, 7) + 0.1
    torch.testing.assert_close(create_layer("gem_pool", p=1.0)(x), x.mean((2, 3)))
    torch.testing.assert_close(create_layer("gem_pool", p=3.0)(x), x.pow(3).mean((2, 3)).pow(1 / 3))
    suggestions = create_layer("gem_pool", p=2000.0)(1e6 * x)
    torch.testing.assert_close(suggestions, 1e6 * x.amax((2, 3)), rtol=5e-3, atol=0.0)  # and does not overflow
    assert not list(create_layer("gem_pool", learnable=False).parameters())
    with pytest.raises(ConfigError, match="above 0"):
        create_layer("gem_pool", p=0.0)


@pytest.mark.feature(12)
def test_attention_pool_with_equal_scores_is_the_mean():
    layer = create_layer("attention_pool", 4, num_heads=2)
    torch.nn.init.zeros_(layer.score.weight)
    x = torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(layer(x), x.mean((2, 3)))
    with pytest.raises(ConfigError, match="do not divide"):
        create_layer("attention_pool", 5, num_heads=2)


@pytest.mark.feature(13)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("output", [1, 2, 4])
def test_adaptive_pooling_equals_its_windows(dims, kind, output):
    x = torch.randn(2, 3, *SIZES[dims])
    reference = x
    for dim in range(2, x.dim()):
        size = x.shape[dim]
        edges = [(i * size // output, -(-(i + 1) * size // output)) for i in range(output)]
        parts = [reference.narrow(dim, a, b - a) for a, b in edges]
        reference = torch.stack([p.mean(dim) if kind == "avg" else p.amax(dim) for p in parts], dim)
    torch.testing.assert_close(create_layer(f"adaptive_{kind}_pool{dims}d", output)(x), reference)


@pytest.mark.feature(13)
def test_a_net_made_for_224_takes_160_and_256():
    net = torch.nn.Sequential(
        create_layer("conv2d", 3, 4, 7, stride=4), create_layer("adaptive_avg_pool2d", 7), create_layer("flatten"),
        create_layer("linear", 4 * 49, 10),
    )  # fmt: skip
    for side in (224, 160, 256):
        assert net(torch.randn(1, 3, side, side)).shape == (1, 10)


def test_wrong_inputs_are_named():
    with pytest.raises(ShapeError, match=r"GlobalAvgPool expects \(N, C, \*\), received \(2, 3\)"):
        create_layer("global_avg_pool")(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"SameMaxPool2d expects \(N, C, H, W\)"):
        create_layer("same_max_pool2d", 2)(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match="expected one size or 2 sizes"):
        create_layer("same_max_pool2d", (2, 2, 2))
