"""The catalogue against torchvision's own tables, and against what the builders build."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable

import pytest
import torchvision.models
from torch import nn

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.importing import resolve
from scirs_neural.models import MODELS, catalogue, create_model, list_models, on_meta
from scirs_neural.models.meta import count_macs, count_parameters
from scirs_neural.models.vision.families import FAMILIES
from scirs_neural.models.vision.generate_catalog import row

TORCHVISION = torchvision.models.list_models(module=torchvision.models)
WITH_AUX = {"inception_v3"}  # whose published count includes the auxiliary head


def test_holds_every_classifier_of_torchvision() -> None:
    assert len(TORCHVISION) >= 80
    assert set(catalogue()) == {*TORCHVISION, "cnn", "mlp"}
    assert list_models() == MODELS.names()
    assert set(catalogue()) <= set(MODELS.names())


@pytest.mark.feature(3)
@pytest.mark.parametrize("name", TORCHVISION)
def test_is_the_network_of_torchvision(name: str, published: Callable[..., nn.Module]) -> None:
    entry, reference = catalogue()[name], published(name)
    with on_meta():
        model = create_model(name)
    assert type(model) is type(reference)
    ours = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert ours == {key: tuple(tensor.shape) for key, tensor in reference.state_dict().items()}
    assert count_parameters(model) == entry.num_params
    counts = {held.meta["num_params"] for held in torchvision.models.get_model_weights(name)}
    if name not in WITH_AUX:
        assert entry.num_params in counts


def test_published_count_of_inception_includes_its_auxiliary_head() -> None:
    with on_meta():
        whole = torchvision.models.inception_v3(init_weights=False)
    (count,) = {held.num_params for held in catalogue()["inception_v3"].weights}
    assert count_parameters(whole) == count
    assert catalogue()["inception_v3"].num_params == count - count_parameters(whole.AuxLogits)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("resnet50", 25_557_032, marks=pytest.mark.feature(57)),
        pytest.param("efficientnet_b0", 5_288_548, marks=pytest.mark.feature(58)),
        pytest.param("vit_b_16", 86_567_656, marks=pytest.mark.feature(59)),
        pytest.param("convnext_tiny", 28_589_128, marks=pytest.mark.feature(60)),
        pytest.param("mobilenet_v3_small", 2_542_856, marks=pytest.mark.feature(61)),
    ],
)
def test_counts_of_the_papers(name: str, count: int) -> None:
    with on_meta():
        assert count_parameters(create_model(name)) == count == catalogue()[name].num_params


@pytest.mark.parametrize("name", TORCHVISION)
def test_weights_are_the_published_ones(name: str) -> None:
    enum = torchvision.models.get_model_weights(name)
    assert [held.name for held in catalogue()[name].weights] == [held.name for held in enum]
    for ours, theirs in zip(catalogue()[name].weights, enum, strict=True):
        transforms = theirs.transforms()
        assert theirs.url.endswith(f"/{ours.file}")
        assert re.fullmatch(r"[0-9a-f]{8,}", ours.sha256)
        assert f"-{ours.sha256}." in ours.file
        assert (ours.size_mb, ours.num_params) == (theirs.meta["_file_size"], theirs.meta["num_params"])
        metrics = theirs.meta["_metrics"]["ImageNet-1K"]
        assert ours.metrics == ({} if math.isnan(metrics["acc@1"]) else metrics)
        assert [ours.input_size] == transforms.crop_size
        assert [ours.resize_size] == transforms.resize_size
        assert (ours.mean, ours.std) == (tuple(transforms.mean), tuple(transforms.std))
        assert ours.interpolation == transforms.interpolation.value
        assert ours.licence == ("CC-BY-NC-4.0" if "SWAG" in ours.name else "BSD-3-Clause")
        assert ours.default == (theirs is enum.DEFAULT)
        if ours.input_size == catalogue()[name].input_size:  # torchvision rounds to millions
            assert catalogue()[name].macs / 1e9 == pytest.approx(theirs.meta["_ops"], abs=1e-3)


def test_rows_are_what_the_generator_writes() -> None:
    for name in ("cnn", "mlp", "squeezenet1_1", "mobilenet_v3_small", "googlenet"):
        fresh = row(name)
        held = catalogue()[name]
        weights = fresh.pop("weights")
        assert [entry["name"] for entry in weights] == [entry.name for entry in held.weights]
        options = {key: tuple(v) if isinstance(v, list) else v for key, v in fresh.pop("options").items()}
        assert options == held.options
        assert fresh == {key: getattr(held, key) for key in fresh}


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_own_networks_are_described_right(name: str) -> None:
    entry, model = catalogue()[name], create_model(name)
    parameters = inspect.signature(resolve(entry.builder)).parameters
    assert {key: held.default for key, held in parameters.items() if held.kind is held.KEYWORD_ONLY} == entry.options
    assert entry.num_params == count_parameters(model)
    assert entry.macs == count_macs(model, (entry.in_channels, entry.input_size, entry.input_size))


def test_families_know_their_papers() -> None:
    known = {entry.family for entry in catalogue().values()}
    assert known == {*FAMILIES, "cnn", "mlp"}
    for name in TORCHVISION:  # the arXiv number that torchvision's docstring gives, where it gives one
        said = set(
            re.findall(r"arxiv\.org/abs/(\d{4}\.\d{4,5})", inspect.getdoc(getattr(torchvision.models, name)) or "")
        )
        assert not said or catalogue()[name].paper.removeprefix("arXiv:") in said, name


def test_list_models_filters() -> None:
    assert list_models("resnet*") == ["resnet101", "resnet152", "resnet18", "resnet34", "resnet50"]
    assert list_models("resnet*", max_params=25_000_000) == ["resnet18", "resnet34"]
    without = ["bag_of_embeddings", "cnn", "mlp", "tabular_mlp", "text_lstm", "unet"]
    assert list_models(has_weights=False) == without
    assert len(list_models(has_weights=True)) == len(TORCHVISION)
    assert list_models(family="swin_v2") == ["swin_v2_b", "swin_v2_s", "swin_v2_t"]
    assert list_models(task="image_classification") == sorted(catalogue())
    assert list_models(task="translation") == []


def test_weights_are_found_by_name() -> None:
    resnet = catalogue()["resnet50"]
    assert resnet.find_weights("DEFAULT").name == "IMAGENET1K_V2"
    with pytest.raises(UnknownNameError) as caught:
        resnet.find_weights("IMAGENET1K_V3", where="command line")
    assert set(caught.value.suggestions) == {"IMAGENET1K_V1", "IMAGENET1K_V2"}
    with pytest.raises(UnknownNameError, match="no published weights"):
        catalogue()["cnn"].find_weights("IMAGENET1K_V1")
