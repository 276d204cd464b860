"""Writes the catalogue's data file from torchvision's tables and from counting.

Run ``python -m scirs_neural.models.vision.generate_catalog`` after a new torchvision; the tests say when it is due.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import torchvision.models
from torch import nn

from scirs_neural.core.importing import resolve
from scirs_neural.models.catalog import CATALOG_FILE
from scirs_neural.models.meta import count_macs, count_parameters, on_meta
from scirs_neural.models.vision.families import FAMILIES, OWN_DEFAULTS, family_of

TASK = "image_classification"
TORCHVISION_LICENCE = "BSD-3-Clause"
SWAG_LICENCE = "CC-BY-NC-4.0"  # github.com/facebookresearch/SWAG, LICENSE
OUR_LICENCE = "Apache-2.0"
OURS = {  # input_size, title, year
    "cnn": (8, "A plain convolutional network for small pictures", 2026),
    "mlp": (8, "A multi-layer perceptron on the flattened picture", 2026),
}


def names() -> list[str]:
    """Every name that the catalogue holds."""
    return sorted([*torchvision.models.list_models(module=torchvision.models), *OURS])


def row(name: str) -> dict[str, Any]:
    """One row of the data file."""
    return _own_row(name) if name in OURS else _torchvision_row(name)


def main() -> None:
    """Write the file."""
    content = {"torchvision": torchvision.__version__.partition("+")[0], "models": [row(name) for name in names()]}
    CATALOG_FILE.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"wrote {len(content['models'])} models to {CATALOG_FILE}", file=sys.stderr)


def _torchvision_row(name: str) -> dict[str, Any]:
    family = family_of(name)
    about, layout = FAMILIES[family], FAMILIES[family].layout
    weights = [_weights_row(held) for held in torchvision.models.get_model_weights(name)]
    default = torchvision.models.get_model_weights(name).DEFAULT.name
    for held in weights:
        held["default"] = held["name"] == default
    own = next((held for held in weights if held["name"] == "IMAGENET1K_V1"), None)
    input_size = own["input_size"] if own else min(held["input_size"] for held in weights)
    builder = torchvision.models.get_model_builder(name)
    if layout.aux:  # the two old ones warn unless told whether to draw first weights
        builder = partial(builder, init_weights=False)
    num_params, macs = _count(builder, input_size, 3, without=layout.aux)
    return {
        "name": name,
        "family": family,
        "task": TASK,
        "builder": f"torchvision.models:{name}",
        "input_size": input_size,
        "in_channels": 3,
        "num_classes": len(torchvision.models.get_model_weights(name).DEFAULT.meta["categories"]),
        "num_params": num_params,
        "macs": macs,
        "options": _defaults(builder, layout.options),
        "title": about.title,
        "paper": about.paper,
        "year": about.year,
        "licence": TORCHVISION_LICENCE,
        "weights": weights,
    }


def _own_row(name: str) -> dict[str, Any]:
    input_size, title, year = OURS[name]
    target = f"scirs_neural.models.vision.small:{name}"
    builder = resolve(target)
    num_params, macs = _count(builder, input_size, 1)
    return {
        "name": name,
        "family": name,
        "task": TASK,
        "builder": target,
        "input_size": input_size,
        "in_channels": 1,
        "num_classes": 10,
        "num_params": num_params,
        "macs": macs,
        "options": dict(builder.__kwdefaults__),
        "title": title,
        "paper": "ours",
        "year": year,
        "licence": OUR_LICENCE,
        "weights": [],
    }


def _weights_row(held: Any) -> dict[str, Any]:
    file = held.url.rpartition("/")[2]
    transforms = held.transforms()
    digits = re.search(r"-([0-9a-f]{8,})\.", file)
    swag = "SWAG" in held.meta.get("license", "")
    return {
        "name": held.name,
        "default": False,
        "file": file,
        "size_mb": held.meta["_file_size"],
        "sha256": digits.group(1) if digits else "",
        "num_params": held.meta["num_params"],
        "input_size": transforms.crop_size[0],
        "resize_size": transforms.resize_size[0],
        "interpolation": transforms.interpolation.value,
        "mean": list(transforms.mean),
        "std": list(transforms.std),
        "metrics": {key: value for key, value in held.meta["_metrics"]["ImageNet-1K"].items() if value == value},
        "licence": SWAG_LICENCE if swag else TORCHVISION_LICENCE,
        "recipe": held.meta["recipe"],
    }


def _count(
    builder: Callable[..., nn.Module], input_size: int, channels: int, *, without: tuple[str, ...] = ()
) -> tuple[int, int]:
    """Parameters, and multiply-accumulate operations of one sample."""
    with on_meta():
        model = builder()
    for path in without:
        setattr(model, path, None)
    macs = count_macs(model, (channels, input_size, input_size))
    assert macs is not None
    return count_parameters(model), macs


def _defaults(builder: Callable[..., nn.Module], options: tuple[str, ...]) -> dict[str, Any]:
    """What the builder hands to the network's constructor when a user gives nothing."""
    with on_meta():
        cls = type(builder())
    seen: dict[str, Any] = {"width_mult": 1.0}  # MobileNetV3's builder uses it up; the constructor never sees it
    original = cls.__init__

    def watch(*args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(original).bind(*args, **kwargs)
        bound.apply_defaults()
        seen.update(bound.arguments)
        original(*args, **kwargs)

    with on_meta(), mock.patch.object(cls, "__init__", watch):
        builder()
    floats = {name for name, held in inspect.signature(original).parameters.items() if held.annotation is float}
    found = {option: float(seen[option]) if option in floats else seen[option] for option in options}
    return {option: OWN_DEFAULTS.get(option, value) for option, value in found.items()}


if __name__ == "__main__":
    main()
