"""The catalogue: what is known of every network without building it. Pure data, no torch.

The data file beside the networks is written by ``python -m scirs_neural.models.vision.generate_catalog`` from
torchvision's own tables and from counting; the tests hold it against what the builders build.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scirs_neural.core.errors import UnknownNameError
from scirs_neural.core.suggestions import did_you_mean

CATALOG_FILE = Path(__file__).parent / "vision" / "catalog.json"


@dataclass(frozen=True)
class WeightsEntry:
    """One published set of weights of a network.

    Args:
        name: torchvision's name, such as "IMAGENET1K_V1".
        default: whether torchvision calls it the best ("DEFAULT").
        file: name of the file that it is kept in.
        size_mb: of the file, in MiB.
        sha256: the first digits of the file's SHA-256.
        num_params: published count, with auxiliary heads where the file has them.
        input_size: side in px of the input that the metrics were measured with.
        resize_size: length in px to which the shorter side was scaled before the centre crop to `input_size`.
        interpolation: "bilinear" or "bicubic".
        mean: per channel, on the scale 0..1.
        std: per channel, on the scale 0..1.
        metrics: "acc@1" and "acc@5" on ImageNet-1K, in percent; empty for weights without a head.
        licence: of the weights.
        recipe: where the training is described.
    """

    name: str
    default: bool
    file: str
    size_mb: float
    sha256: str
    num_params: int
    input_size: int
    resize_size: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    metrics: Mapping[str, float]
    licence: str
    recipe: str


@dataclass(frozen=True)
class ModelEntry:
    """What is known of one network.

    Args:
        name: its name in the zoo.
        family: the line of networks that it belongs to.
        task: the task that its head is for.
        builder: import string of the function that builds it.
        input_size: side of its own input in px.
        in_channels: channels of its own input.
        num_classes: classes of its own head.
        num_params: parameters, with its own head and without auxiliary ones.
        macs: multiply-accumulate operations of one sample at `input_size`.
        options: keyword arguments of the builder and their defaults.
        title: of the paper.
        paper: where the paper is.
        year: of the paper's first version.
        licence: of the code.
        weights: published weights.
    """

    name: str
    family: str
    task: str
    builder: str
    input_size: int
    in_channels: int
    num_classes: int
    num_params: int
    macs: int
    options: Mapping[str, Any]
    title: str
    paper: str
    year: int
    licence: str
    weights: tuple[WeightsEntry, ...] = ()

    @property
    def summary(self) -> str:
        """One line about it."""
        return f"{self.title} ({self.year})"

    def find_weights(self, name: str, *, where: str | None = None) -> WeightsEntry:
        """The published weights of a name; "DEFAULT" are those that torchvision recommends.

        Raises:
            UnknownNameError: there are none of that name.
        """
        for held in self.weights:
            if name == held.name or (name == "DEFAULT" and held.default):
                return held
        names = [held.name for held in self.weights]
        if not names:
            raise UnknownNameError(
                f"{self.name} has no published weights, and '{name}' is not a weights file",
                where=where,
                fix="give a path to a .pth or .safetensors file, or leave weights out",
            )
        raise UnknownNameError(
            f"{self.name} has no weights '{name}'",
            where=where,
            suggestions=did_you_mean(name, names),
            fix=f"one of {', '.join(['DEFAULT', *names])}, or a path to a .pth or .safetensors file",
        )


@cache
def catalogue() -> Mapping[str, ModelEntry]:
    """Every entry, by name.

    Example:
        >>> entry = catalogue()["resnet50"]
        >>> entry.num_params, entry.paper, [held.name for held in entry.weights]
        (25557032, 'arXiv:1512.03385', ['IMAGENET1K_V1', 'IMAGENET1K_V2'])
    """
    rows = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))["models"]
    return {row["name"]: _entry(row) for row in rows}


def _entry(row: dict[str, Any]) -> ModelEntry:
    weights = tuple(
        WeightsEntry(**{**held, "mean": tuple(held["mean"]), "std": tuple(held["std"])}) for held in row["weights"]
    )
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in row["options"].items()}
    return ModelEntry(**{**row, "weights": weights, "options": options})
