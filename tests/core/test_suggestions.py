"""A table of typos of real names: the one that was meant comes first, or is among the three that are shown."""

# ruff: noqa: E501 - a table
from __future__ import annotations

import pytest

from scirs_neural.config.validate import all_settings
from scirs_neural.core.registries import registry
from scirs_neural.core.suggestions import MAX_NEAR, did_you_mean

SETTINGS = sorted({key.rpartition(".")[2] for key in all_settings()})

FIRST = {
    "models": {
        "resnet51": "resnet50", "resnet-50": "resnet50", "ResNet50": "resnet50", "resnet_101": "resnet101",
        "rensnet18": "resnet18", "resent18": "resnet18", "resne34": "resnet34", "vgg15": "vgg16",
        "mobilnet_v2": "mobilenet_v2", "mobilenet": "mobilenet_v2", "efficentnet_b0": "efficientnet_b0",
        "vit_b16": "vit_b_16", "vitb16": "vit_b_16", "convnext_tny": "convnext_tiny", "densenet": "densenet121",
        "alexnt": "alexnet", "googlnet": "googlenet", "squeezenet1.0": "squeezenet1_0", "wide_resnet50": "wide_resnet50_2",
    },
    "data": {
        "digit": "digits", "cifar": "cifar10", "cifar-100": "cifar100", "fasion_mnist": "fashion_mnist",
        "folder_image": "image_folder", "imagefolder": "image_folder", "flowers": "flowers102", "mnits": "mnist",
        "svnh": "svhn",
    },
    "optimizers": {"adma": "adam", "AdamW": "adamw", "rms_prop": "rmsprop", "sdg": "sgd"},
    "schedulers": {"cosin": "cosine", "onecycle": "one_cycle", "multistep": "multi_step"},
    "callbacks": {"earlystopping": "early_stopping", "early_stop": "early_stopping"},
    "settings": {
        "max_epoch": "max_epochs", "epochs": "max_epochs", "epoch": "max_epochs", "batchsize": "batch_size",
        "learning_rate": "lr", "weigth_decay": "weight_decay", "labelsmoothing": "label_smoothing",
        "n_workers": "num_workers", "warm_up": "warmup", "precison": "precision", "clip_val": "gradient_clip_val",
        "device": "devices",
    },
}  # fmt: skip
AMONG = {
    "models": {"convnext": "convnext_tiny", "swin": "swin_t", "resnext50": "resnext50_32x4d"},
    "data": {"cifr100": "cifar100"},
}
NOTHING = [
    ("models", "zebra"), ("models", "gpt2"), ("models", "bert"), ("models", "x"), ("models", "transformer"),
    ("data", "my_data"), ("optimizers", "genetic"), ("callbacks", "hello"), ("settings", "colour"), ("settings", "depth"),
    ("settings", "temperature"), ("settings", ""), ("models", "___"),
]  # fmt: skip


def known(kind: str) -> list[str]:
    return SETTINGS if kind == "settings" else registry(kind).names()


def test_the_table_is_large_enough():
    assert sum(len(typos) for table in (FIRST, AMONG) for typos in table.values()) >= 50


@pytest.mark.parametrize(("kind", "typo", "meant"), [(k, t, m) for k, table in FIRST.items() for t, m in table.items()])
def test_the_name_that_was_meant_comes_first(kind, typo, meant):
    assert did_you_mean(typo, known(kind))[0] == meant


@pytest.mark.parametrize(("kind", "typo", "meant"), [(k, t, m) for k, table in AMONG.items() for t, m in table.items()])
def test_the_name_that_was_meant_is_shown(kind, typo, meant):
    assert meant in did_you_mean(typo, known(kind))


@pytest.mark.parametrize(("kind", "word"), NOTHING)
def test_nothing_is_offered_where_nothing_is_near(kind, word):
    assert did_you_mean(word, known(kind)) == []


def test_every_name_is_nearest_to_itself_in_another_spelling_and_at_most_three_are_shown():
    names = known("models")
    for name in names:
        found = did_you_mean(name.upper().replace("_", "-"), names)
        assert found[0] == name
        assert len(found) <= MAX_NEAR
