"""Weights files into networks: what fits is taken over, what does not is listed."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision.models
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from scirs_neural.core.errors import CheckpointError, OfflineError, UnknownNameError
from scirs_neural.core.paths import cache_dir
from scirs_neural.guard import write_state_dict
from scirs_neural.models import catalogue, create_model, load_strictly, load_weights, on_meta
from scirs_neural.models.cache import cached_file
from scirs_neural.models.pretrained import weights_file
from scirs_neural.models.vision.build import adapt_kernel
from scirs_neural.models.vision.families import FAMILIES

MOBILENET = cache_dir() / "assets" / "mobilenet_v2-b0353104.pth"
RESNET = FAMILIES["resnet"].layout


@pytest.fixture(scope="module")
def resnet() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return torchvision.models.resnet18().state_dict()


@pytest.fixture(scope="module")
def resnet_file(resnet: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet, file)
    return file


@pytest.mark.feature(112)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_is_taken_over_whole(resnet: dict[str, Tensor], tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save(resnet, file)
    else:
        write_state_dict(file, resnet)
    state = create_model("resnet18", weights=str(file)).state_dict()
    assert state.keys() == resnet.keys()
    assert all(torch.equal(state[key], resnet[key]) for key in resnet)


@pytest.mark.feature(112)
def test_new_head_keeps_the_body(resnet: dict[str, Tensor], resnet_file: Path) -> None:
    model = create_model("resnet18", weights=str(resnet_file), num_classes=10, input_size=32)
    state = model.state_dict()
    assert state["fc.weight"].shape == (10, 512)
    body = [key for key in resnet if not key.startswith("fc.")]
    assert len(body) == len(resnet) - 2
    assert all(torch.equal(state[key], resnet[key]) for key in body)
    torch.manual_seed(0)
    report = load_weights(create_model("resnet18", num_classes=10), resnet_file, layout=RESNET, new_head=True)
    assert report.replaced == ["fc.weight", "fc.bias"]
    assert report.fits
    assert sorted(report.loaded) == sorted(body)
    assert "new         fc.weight, fc.bias" in str(report)


@pytest.mark.feature(112)
def test_same_number_of_classes_keeps_the_head(resnet: dict[str, Tensor], resnet_file: Path) -> None:
    model = create_model("resnet18", weights=str(resnet_file), num_classes=1000)
    assert torch.equal(model.fc.weight, resnet["fc.weight"])


@pytest.mark.feature(112)
@pytest.mark.filterwarnings("ignore")  # while timm is imported
def test_a_training_checkpoint_of_timm_gives_what_timm_gives(tmp_path: Path) -> None:
    import timm

    theirs = timm.create_model("resnet18", num_classes=7).eval()
    held = {"arch": "resnet18", "epoch": 3, "state_dict": theirs.state_dict(), "args": argparse.Namespace(lr=0.1)}
    torch.save(held, tmp_path / "model_best.pth.tar")  # as its CheckpointSaver does
    ours = create_model("resnet18", weights=str(tmp_path / "model_best.pth.tar"), num_classes=7).eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-5, atol=1e-5)


def test_other_head_must_be_asked_for(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "ten.pth"
    torch.save({**resnet, "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}, file)
    with pytest.raises(CheckpointError) as caught:
        create_model("resnet18", weights=str(file))
    assert "fc.weight [10, 512] for [1000, 512]" in str(caught.value)
    assert caught.value.fix is not None
    assert "num_classes=10" in caught.value.fix


@pytest.mark.parametrize("prefixes", [("module.",), ("_orig_mod.",), ("model.", "_orig_mod."), ("module.", "model.")])
def test_wrappers_prefixes_are_taken_off_and_told(
    resnet: dict[str, Tensor], tmp_path: Path, prefixes: tuple[str, ...]
) -> None:
    file = tmp_path / "wrapped.ckpt"
    torch.save({"epoch": 3, "state_dict": {"".join(prefixes) + key: value for key, value in resnet.items()}}, file)
    report = load_weights(create_model("resnet18"), file, layout=RESNET)
    assert report.renamed == [f"'{prefix}' taken off" for prefix in prefixes]
    assert len(report.loaded) == len(resnet)


@pytest.mark.feature(112)
def test_unmatched_names_are_listed_and_nothing_is_changed(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    broken = {key: value for key, value in resnet.items() if key != "bn1.weight"}
    broken["extra.bias"] = torch.zeros(3)
    broken["layer1.0.conv1.weight"] = torch.zeros(64, 32, 3, 3)
    torch.save(broken, tmp_path / "broken.pth")
    model = create_model("resnet18")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tmp_path / "broken.pth", layout=RESNET, new_head=True)
    faults = "1 missing: bn1.weight; 1 unexpected: extra.bias; 1 other shape: layer1.0.conv1.weight"
    assert f"{faults} [64, 32, 3, 3] for [64, 64, 3, 3]" in str(caught.value)
    assert len(caught.value.render().splitlines()) <= 6
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_another_networks_file_is_refused(resnet_file: Path) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        create_model("squeezenet1_1", weights=str(resnet_file), num_classes=10)


def test_states_without_batchnorms_counters_are_loaded_as_torch_does() -> None:
    """Case Z1, for the smallest network of every family that has a BatchNorm."""
    num_loaded = 0
    smallest = {entry.family: entry.name for entry in sorted(catalogue().values(), key=lambda e: -e.num_params)}
    for name in smallest.values():
        with on_meta():
            net = create_model(name)
        state = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
        if len(state) < len(net.state_dict()):
            report = load_strictly(net, state, "old.pth")
            assert "begin at 0" in report.renamed[0]
            num_loaded += 1
    assert num_loaded >= 12
    small = create_model("mnasnet0_5", num_classes=3)
    with pytest.raises(CheckpointError, match=r"1 missing: layers\.1\.weight"):
        load_strictly(small, {key: value for key, value in small.state_dict().items() if key != "layers.1.weight"}, "x")


def test_strict_loading_of_ones_own() -> None:
    model = nn.Linear(3, 2)
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    assert load_strictly(model, state, "run/last.ckpt").loaded == ["weight", "bias"]
    assert torch.equal(model.weight, torch.ones(2, 3))
    with pytest.raises(CheckpointError, match="1 missing: bias") as caught:
        load_strictly(model, {"weight": state["weight"]}, "run/last.ckpt")
    assert caught.value.where == "run/last.ckpt"


@pytest.mark.feature(112)
def test_grey_input_gives_what_its_copy_in_every_channel_gives(resnet_file: Path) -> None:
    colour = create_model("resnet18", weights=str(resnet_file)).eval()
    grey = create_model("resnet18", weights=str(resnet_file), in_channels=1).eval()
    image = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image), colour(image.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4)


def test_kernels_for_other_channels_keep_their_sum() -> None:
    kernel = torch.rand(8, 3, 5, 5)
    for channels in (1, 2, 4, 12):
        adapted = adapt_kernel(kernel, channels)
        assert adapted.shape == (8, channels, 5, 5)
        if channels in (1, 12):  # whole turns
            torch.testing.assert_close(adapted.sum(1), kernel.sum(1))
    torch.testing.assert_close(adapt_kernel(kernel, 6)[:, 4], kernel[:, 1] / 2)


def test_small_stem_starts_anew_and_is_told(resnet: dict[str, Tensor], resnet_file: Path) -> None:
    model = create_model("resnet18", weights=str(resnet_file), num_classes=10, stem="small")
    assert model.conv1.weight.shape == (64, 3, 3, 3)
    assert torch.equal(model.state_dict()["layer4.1.conv2.weight"], resnet["layer4.1.conv2.weight"])
    small = create_model("resnet18", stem="small")
    with pytest.raises(CheckpointError) as caught:
        load_weights(small, resnet_file, layout=RESNET)
    assert "stem=" in str(caught.value)


@pytest.mark.feature(59)
def test_position_embedding_is_interpolated_as_torchvision_does(
    tmp_path: Path, published: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    with on_meta():
        shapes = {key: value.shape for key, value in create_model("vit_b_16", num_classes=2).state_dict().items()}
    state = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}  # no memory but for what is looked at
    state["encoder.pos_embedding"] = torch.randn(shapes["encoder.pos_embedding"], generator=generator)
    monkeypatch.setattr("scirs_neural.models.weights.read_state_dict", lambda path: dict(state))
    model = create_model("vit_b_16", num_classes=2, input_size=96, stem="standard")
    layout = FAMILIES["vit"].layout
    report = load_weights(model, tmp_path / "vit.pth", layout=layout)
    expected = interpolate_embeddings(96, 16, dict(state))["encoder.pos_embedding"]
    assert report.adapted == [("encoder.pos_embedding", (1, 197, 768), (1, 37, 768))]
    assert torch.equal(model.encoder.pos_embedding, expected)


def test_old_names_of_densenet_are_brought_up_to_date(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torchvision.models.DenseNet(growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=4, num_classes=3)
    new = model.state_dict()
    old = {}
    for key, value in new.items():
        parts = key.split(".")
        if "denselayer1" in parts and parts[-2][-1] in "12":
            parts[-2] = f"{parts[-2][:-1]}.{parts[-2][-1]}"
        old[".".join(parts)] = value
    assert any("norm.1.weight" in key for key in old)
    torch.save(old, tmp_path / "old.pth")
    other = torchvision.models.DenseNet(growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=4, num_classes=3)
    report = load_weights(other, tmp_path / "old.pth", layout=FAMILIES["densenet"].layout)
    assert len(report.renamed) == 1
    assert all(torch.equal(value, new[key]) for key, value in other.state_dict().items())


def test_auxiliary_heads_of_published_files_are_left_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = torchvision.models.googlenet(init_weights=True, aux_logits=True).state_dict()
    torch.save(whole, tmp_path / "googlenet.pth")
    report = load_weights(create_model("googlenet"), tmp_path / "googlenet.pth", layout=FAMILIES["googlenet"].layout)
    assert {key.split(".")[0] for key in report.dropped} == {"aux1", "aux2"}
    assert len(report.dropped) + len(report.loaded) == len(whole)


def test_missing_values_are_refused(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({**resnet, "fc.bias": torch.full((1000,), float("nan"))}, tmp_path / "gaps.pth")
    with pytest.raises(CheckpointError, match=r"1 tensors hold NaN or infinity: fc\.bias"):
        create_model("resnet18", weights=str(tmp_path / "gaps.pth"))


def test_the_network_can_be_had_without_reading_its_weights() -> None:
    model = create_model("resnet18", weights="DEFAULT", num_classes=10, input_size=32, load=False)
    assert model.conv1.kernel_size == (7, 7)  # the stem that goes with the weights, as when they were loaded
    assert create_model("googlenet", weights="DEFAULT", num_classes=10, load=False).transform_input
    assert not create_model("googlenet", num_classes=10).transform_input
    with pytest.raises(UnknownNameError):
        create_model("resnet18", weights="IMAGENET1K_V9", load=False)


@pytest.mark.feature(112)
@pytest.mark.parametrize("offline", [True, False])
def test_weights_out_of_reach_name_file_size_folder_and_way(
    hub: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    asked: list[str] = []

    def no_network(url: str, *args: object, **kwargs: object) -> None:
        asked.append(url)
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    monkeypatch.setenv("SCIRS_OFFLINE", "1" if offline else "0")
    with pytest.raises(OfflineError) as caught:
        create_model("resnet18", weights="IMAGENET1K_V1", num_classes=10)
    text = caught.value.render()
    for part in ("resnet18-f37072fd.pth", "45 MB", str(hub), "model.weights=/path/to/it", "copy"):
        assert part in text
    assert len(asked) == (0 if offline else 1)
    assert len(text.splitlines()) <= 6


def test_cached_weights_are_checked_and_used_without_a_network(
    hub: Path, resnet_file: Path, resnet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIRS_OFFLINE", "1")
    weights = catalogue()["resnet18"].find_weights("DEFAULT")
    hub.mkdir(parents=True)
    (hub / weights.file).write_bytes(resnet_file.read_bytes())
    assert cached_file(weights) == hub / weights.file
    with pytest.raises(CheckpointError, match="not the published file"):
        create_model("resnet18", weights="DEFAULT")
    digest = hashlib.sha256(resnet_file.read_bytes()).hexdigest()
    assert weights_file("resnet18", replace(weights, sha256=digest[:8])) == hub / weights.file


def test_fetched_weights_come_through_the_guarded_door(
    hub: Path, resnet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCIRS_OFFLINE", raising=False)
    given: dict[str, object] = {}

    def fetch(url: str, target: str, hash_prefix: str, progress: bool) -> None:
        given.update(url=url, hash_prefix=hash_prefix, progress=progress)
        Path(target).write_bytes(resnet_file.read_bytes())

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    digest = hashlib.sha256(resnet_file.read_bytes()).hexdigest()
    weights = replace(catalogue()["resnet18"].find_weights("DEFAULT"), sha256=digest)
    assert weights_file("resnet18", weights).parent == hub
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    assert given == {"url": url, "hash_prefix": digest, "progress": False}


def test_the_cache_folder_is_torchs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = catalogue()["resnet18"].find_weights("DEFAULT")
    monkeypatch.setattr("torch.hub._hub_dir", None)
    for name, value in (("TORCH_HOME", str(tmp_path)), ("XDG_CACHE_HOME", str(tmp_path / "xdg")), ("OTHER", "")):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv(name, value)
        torchs = cached_file(weights)
        with monkeypatch.context() as without_torch:
            without_torch.delitem(__import__("sys").modules, "torch.hub")
            assert cached_file(weights) == torchs


@pytest.mark.feature(112)
@pytest.mark.slow
@pytest.mark.skipif(not MOBILENET.is_file(), reason="first: python recipes/finetune_photos/fetch.py")
def test_published_mobilenet_sees_what_torchvisions_sees(hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / MOBILENET.name).symlink_to(MOBILENET)
    published = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    model = create_model("mobilenet_v2", weights="IMAGENET1K_V1").eval()
    reference = torchvision.models.mobilenet_v2()
    reference.load_state_dict(torch.load(MOBILENET, weights_only=True))
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)
    with torch.inference_mode():
        image = published.transforms()(photo)[None]
        logits = model(image)
        assert torch.equal(logits, reference.eval()(image))
    assert published.meta["categories"][logits.argmax()] == "palace"
