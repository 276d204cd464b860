"""`create_model`: the same outputs as torchvision's, and adapted to other classes, channels and sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from scirs_neural.core.errors import ConfigError, ShapeError, UnknownNameError
from scirs_neural.models import MODELS, catalogue, create_model, list_models, on_meta
from scirs_neural.models.meta import count_parameters, output_shape
from scirs_neural.models.vision.build import rebuild_stem
from scirs_neural.models.vision.families import FAMILIES


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.images[:, None] / 16, dtype=torch.float32), torch.tensor(data.target)


@pytest.mark.feature(57)
@pytest.mark.feature(58)
@pytest.mark.feature(59)
@pytest.mark.feature(60)
@pytest.mark.feature(61)
def test_outputs_equal_torchvisions_with_one_state_dict(
    representative: str,
    side: int,
    published: Callable[..., nn.Module],
    randomise: Callable[[nn.Module], nn.Module],
) -> None:
    size = {"image_size": side} if representative == "vit_b_16" else {}
    reference = randomise(published(representative, meta=False, num_classes=13, **size)).eval()
    with on_meta():
        model = create_model(representative, num_classes=13, input_size=side, stem="standard")
    model.load_state_dict(reference.state_dict(), assign=True)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, theirs = model.eval()(image), reference(image)
    assert theirs.std() > 1e-2  # not a comparison of zeros
    assert torch.equal(ours, theirs)


def test_head_and_channels_fit_the_data(representative: str, side: int) -> None:
    entry = catalogue()[representative]
    layout = FAMILIES[entry.family].layout
    with on_meta():
        plain = create_model(representative, **entry.options)  # the builders take what the catalogue says they take
        size = side if representative == "vit_b_16" else None
        model = create_model(representative, num_classes=7, in_channels=5, input_size=size, stem="standard")
    head, stem, old = (
        model.get_submodule(layout.head),
        model.get_submodule(layout.stem),
        plain.get_submodule(layout.stem),
    )
    assert (head.out_features if isinstance(head, nn.Linear) else head.out_channels) == 7
    assert stem.in_channels == 5
    for setting in ("out_channels", "kernel_size", "stride", "padding"):
        assert getattr(stem, setting) == getattr(old, setting)
    assert (stem.bias is None) == (old.bias is None)
    assert output_shape(model, (2, 5, side, side)) == (2, 7)


def test_training_mode_gives_plain_logits() -> None:
    for name in ("googlenet", "inception_v3"):
        model = create_model(name, num_classes=3, input_size=80, stem="standard").train()
        logits = model(torch.rand(2, 3, 80, 80))
        assert isinstance(logits, Tensor)
        assert logits.shape == (2, 3)
        logits.sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())  # nothing left unused


@pytest.mark.parametrize(
    ("name", "follows_fan_in"),
    [
        ("convnext_tiny", False),
        ("densenet121", True),
        ("efficientnet_b0", False),
        ("googlenet", False),
        ("inception_v3", False),
        ("mnasnet0_5", False),
        ("mobilenet_v2", False),
        ("regnet_y_400mf", False),
        ("resnet18", False),
        ("shufflenet_v2_x0_5", True),
        ("squeezenet1_1", True),
    ],
)
@torch.no_grad()
def test_new_first_kernels_are_drawn_as_torchvision_draws_them(name: str, follows_fan_in: bool) -> None:
    stem = FAMILIES[catalogue()[name].family].layout.stem
    theirs = create_model(name, seed=0).get_submodule(stem).weight
    ours = create_model(name, seed=1, in_channels=6).get_submodule(stem).weight
    assert (ours.std() / theirs.std()).item() == pytest.approx(0.5**0.5 if follows_fan_in else 1.0, rel=0.1)
    assert abs(ours.mean()) < 0.1 * ours.std()


@torch.no_grad()
def test_new_patch_embeddings_are_drawn_as_torchvision_draws_them() -> None:
    small = {"num_layers": 1, "num_heads": 1, "hidden_dim": 256, "mlp_dim": 4}
    model = torchvision.models.VisionTransformer(image_size=32, patch_size=8, **small)
    before = model.conv_proj.weight.std()
    rebuild_stem(model, FAMILIES["vit"].layout, 3, {"kernel_size": 4, "stride": 4})
    assert model.conv_proj.weight.shape == (256, 3, 4, 4)
    assert (model.conv_proj.weight.std() / before).item() == pytest.approx(2.0, rel=0.05)
    assert not model.conv_proj.bias.any()


@pytest.mark.feature(61)
def test_width_multiplier() -> None:
    with on_meta():
        counts = [count_parameters(create_model("mobilenet_v2", width_mult=width)) for width in (0.5, 1.0, 1.4)]
    assert counts == [1_968_680, 3_504_872, 6_108_776]  # of arXiv:1801.04381 rounded: 1.95 M, 3.4 M, 6.1 M
    with on_meta():
        assert count_parameters(create_model("mobilenet_v3_large", width_mult=0.75)) < 5_483_032


@pytest.mark.feature(59)
def test_vision_transformer_takes_other_sizes_and_patches() -> None:
    with on_meta():
        large = create_model("vit_b_16", input_size=384)
        fine = create_model("vit_b_16", input_size=32, patch_size=4, num_classes=10)
    assert count_parameters(large) == 86_859_496  # torchvision's count of its 384 px weights
    assert large.encoder.pos_embedding.shape[1] == (384 // 16) ** 2 + 1
    assert fine.encoder.pos_embedding.shape[1] == (32 // 4) ** 2 + 1
    assert fine.conv_proj.kernel_size == fine.conv_proj.stride == (4, 4)
    assert output_shape(fine, (2, 3, 32, 32)) == (2, 10)
    assert (fine.image_size, fine.patch_size) == (32, 4)


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("resnet51", {}, UnknownNameError, "resnet50"),
        ("vgg11", {"dropuot": 0.1}, ConfigError, "maybe  dropout"),
        ("vgg11", {"dropout": "half"}, ConfigError, "must be a number, not 'half'"),
        ("vgg11", {"dropout": True}, ConfigError, "must be a number, not true"),
        ("cnn", {"depth": 2.0}, ConfigError, "must be a whole number"),
        ("mlp", {"hidden": ["a"]}, ConfigError, "must be a list"),
        ("mlp", {"hidden": "ab"}, ConfigError, "must be a list"),
        ("cnn", {"depth": 0}, ConfigError, "at least 1"),
        ("resnet18", {"replace_stride_with_dilation": [True, False, False]}, ConfigError, "cannot be built with"),
        ("resnet18", {"num_classes": 0}, ConfigError, "num_classes"),
        ("resnet18", {"in_channels": True}, ConfigError, "in_channels"),
        ("resnet18", {"input_size": (32,)}, ConfigError, "input_size"),
        ("resnet18", {"stem": "tiny"}, ConfigError, "auto, standard, small"),
        ("maxvit_t", {"stem": "small"}, ConfigError, "no small stem"),
        ("cnn", {"stem": "small"}, ConfigError, "no small stem"),
        ("maxvit_t", {"input_size": 32}, ShapeError, "multiples of 224"),
        ("vit_b_16", {"input_size": 200, "stem": "standard"}, ShapeError, "data.image_size=192"),
        ("vit_b_16", {"input_size": (32, 64)}, ShapeError, "square"),
        ("vit_b_16", {"input_size": 32, "patch_size": 0}, ConfigError, "patch_size"),
    ],
)
def test_faults_are_named(name: str, options: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught, on_meta():
        create_model(name, **options)
    assert text in str(caught.value)


@pytest.mark.parametrize(("name", "least"), [("alexnet", 63), ("vgg11", 32), ("inception_v3", 75)])
def test_too_small_inputs_name_the_least_size(name: str, least: int) -> None:
    """The least sizes are those that torchvision publishes as ``min_size``."""
    with on_meta():
        create_model(name, input_size=least, stem="standard")
        with pytest.raises(ShapeError, match=f"at least {least}x{least} px, not {least - 1}x{least - 1}"):
            create_model(name, input_size=least - 1, stem="standard")


def test_the_least_size_of_our_own_is_the_documented_one() -> None:
    create_model("cnn", depth=4, width=2, input_size=8)
    with pytest.raises(ShapeError, match="at least 8x8"):
        create_model("cnn", depth=4, width=2, input_size=7)


def test_seed_alone_decides_the_first_weights() -> None:
    before = torch.get_rng_state()
    nets = [create_model("cnn", width=4, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    one, same, other = (net.state_dict()["head.weight"] for net in nets)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_nothing_is_built_for_real_on_the_meta_device() -> None:
    with on_meta():
        model = create_model("swin_t", weights="DEFAULT")  # not fetched either
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"meta"}


@pytest.mark.feature(54)
def test_users_networks_are_built_by_name_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))

    @MODELS.register("my_net_of_this_test", summary="mine")
    def my_net(num_classes: int, hidden: int = 8) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))

    assert "my_net_of_this_test" in list_models("my_*")
    model = create_model("my_net_of_this_test", num_classes=3, in_channels=1, input_size=8, hidden=5)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    with pytest.raises(ConfigError, match="no option 'hiden'"):
        create_model("my_net_of_this_test", num_classes=3, hiden=5)
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self): super().__init__(4, 2)\nx = lambda: {}\n"
    )
    assert create_model(f"{file}:Net", num_classes=2).weight.shape == (2, 4)
    with pytest.raises(ConfigError, match="gave a dict"):
        create_model(f"{file}:x")


@pytest.mark.feature(3)
@pytest.mark.parametrize(
    "name", ["cnn", "mlp", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"]
)
def test_one_step_lowers_the_loss(name: str, digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits[0][:32], digits[1][:32]
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, in_channels=1, input_size=8).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        torch.manual_seed(1)  # the same dropout in both
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_cnn_learns_digits(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, test = order[360:], order[:360]
    model = create_model("cnn", width=16, input_size=8, seed=0).train()
    steps = 8 * (len(train) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    generator = torch.Generator().manual_seed(1)
    for _ in range(8):
        shuffled = train[torch.randperm(len(train), generator=generator)]
        for batch in shuffled[: len(train) // 64 * 64].split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        accuracy = (model.eval()(images[test]).argmax(1) == labels[test]).float().mean().item()
    assert accuracy >= 0.98
