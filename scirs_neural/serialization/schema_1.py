"""The JSON members of version 1 of the format that version 2 has no more, or has otherwise.

``format-1.schema.json`` is their JSON Schema, as it was shipped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from scirs_neural.serialization import schema
from scirs_neural.serialization.schema import FILES, Count, Finite, Member, Plain, Sha256, Text, checked

PREPROCESS, LABELS = "preprocess.json", "labels.json"
_MEMBER = rf"^((model|preprocess|labels|metrics)\.json|{FILES})$"


class DataFacts(Plain):
    """What the network learnt from."""

    name: Text
    description: Text = ""
    sizes: dict[str, int] = {}


class Manifest(Plain):
    """``manifest.json``."""

    format: Literal["scirs-neural-package"]
    version: Literal[1]
    name: Text
    task: Text | None
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    libraries: dict[str, str]
    git_commit: Text | None
    licences: dict[str, str]
    data: DataFacts | None
    migrated_from: int | None
    members: dict[Annotated[str, Field(pattern=_MEMBER, max_length=255)], Member]
    digest: Sha256


class PreprocessFile(Plain):
    """``preprocess.json``: from an image file to the network's input."""

    kind: Literal["image"]
    channels: Literal[1, 3]
    size: Annotated[list[Count], Field(min_length=2, max_length=2)]
    resize: Count | None
    interpolation: Literal["nearest", "bilinear", "bicubic"]
    mean: list[Finite]
    std: list[Annotated[Finite, Field(gt=0)]]

    @model_validator(mode="after")
    def _one_a_channel(self) -> PreprocessFile:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} numbers, one a channel")
        return self


class LabelsFile(Plain):
    """``labels.json``: class names in the order of the logits."""

    names: list[Text]
    multi_label: bool = False


_TYPES: dict[str, TypeAdapter[Any]] = {
    schema.MANIFEST: TypeAdapter(Manifest),
    PREPROCESS: TypeAdapter(PreprocessFile),
    LABELS: TypeAdapter(LabelsFile),
}


def check_1(member: str, plain: Any, where: str) -> None:
    """Hold a JSON member to version 1. What version 2 has alike is held to that after the migration.

    Raises:
        CheckpointError: it is not of its type. Names the first place.
    """
    if member in _TYPES:
        checked(_TYPES[member], member, plain, where)
