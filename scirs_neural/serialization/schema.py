"""The types of a package's JSON members, version 1. The one source: the shipped JSON Schema is written from here.

``python -m scirs_neural.serialization.schema`` prints it; a test holds ``format-1.schema.json`` to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from scirs_neural.core.errors import CheckpointError

FORMAT = "scirs-neural-package"
VERSION = 1
SCHEMA_FILE = Path(__file__).parent / f"format-{VERSION}.schema.json"

MANIFEST, MODEL, WEIGHTS = "manifest.json", "model.json", "weights.safetensors"
PREPROCESS, LABELS, METRICS = "preprocess.json", "labels.json", "metrics.json"
FOLDERS = ("tokenizer/", "exports/")

MEMBER = r"^(model\.json|weights\.safetensors|preprocess\.json|labels\.json|metrics\.json|(tokenizer|exports)(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+)$"  # fmt: skip  # noqa: E501
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Crc32 = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
MemberName = Annotated[str, Field(pattern=MEMBER, max_length=255)]
Count = Annotated[int, Field(ge=1, le=2**31)]
Dimension = Annotated[int, Field(ge=0, le=2**47)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = bool | int | Finite
Text = Annotated[str, Field(max_length=10_000)]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Member(_Plain):
    """One file of the package; those written before 0.1.0 have no crc32."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256
    crc32: Crc32 | None = None


class DataFacts(_Plain):
    """What the network learnt from."""

    name: Text
    description: Text = ""
    sizes: dict[str, int] = {}


class Manifest(_Plain):
    """``manifest.json``: what the package is, and the size and SHA-256 of every other member."""

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
    members: dict[MemberName, Member]
    digest: Sha256


class ChannelPlan(_Plain):
    """The widths of a slim network: whole numbers of modules, and the shapes of tensors, that differ."""

    kind: Literal["channels"]
    modules: dict[str, dict[str, int | list[int]]]
    tensors: dict[str, list[Dimension]]


class SettingsPlan(_Plain):
    """Other numbers of modules that differ from what the name builds."""

    kind: Literal["settings"]
    modules: dict[str, dict[str, Number | list[Number]]]


Plans = list[Annotated[ChannelPlan | SettingsPlan, Field(discriminator="kind")]]


class ZooModel(_Plain):
    """A network by registered name."""

    kind: Literal["zoo"]
    name: Annotated[str, Field(pattern=r"^[^:/\\]+$", max_length=200)]
    num_classes: Count | None = None
    in_channels: Count | None = None
    stem: Literal["auto", "standard", "small"] = "auto"
    input_size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    options: dict[str, JsonValue] = {}
    plans: Plans = []


class BuilderModel(_Plain):
    """A network as a graph of registered layers."""

    kind: Literal["builder"]
    spec: dict[str, JsonValue]
    plans: Plans = []


class ClassModel(_Plain):
    """A network of the user's own class, which the user gives again to load it."""

    kind: Literal["class"]
    name: Text
    module: Text = ""
    options: dict[str, JsonValue] = {}
    plans: Plans = []


ModelFile = Annotated[ZooModel | BuilderModel | ClassModel, Field(discriminator="kind")]


class PreprocessFile(_Plain):
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


class LabelsFile(_Plain):
    """``labels.json``: class names in the order of the logits."""

    names: list[Text]
    multi_label: bool = False


MetricsFile = dict[str, dict[str, int | Finite]]

TYPES: dict[str, TypeAdapter[Any]] = {
    MANIFEST: TypeAdapter(Manifest),
    MODEL: TypeAdapter(ModelFile),
    PREPROCESS: TypeAdapter(PreprocessFile),
    LABELS: TypeAdapter(LabelsFile),
    METRICS: TypeAdapter(MetricsFile),
}


def check(member: str, plain: Any, where: str) -> Any:
    """A JSON member as its type.

    Args:
        member: its name, such as "model.json".
        plain: what it holds.
        where: the package, for the error.

    Raises:
        CheckpointError: it is not of that type. Names the first place.

    Example:
        >>> check("labels.json", {"names": ["cat", "dog"]}, "a.zip").names
        ['cat', 'dog']
    """
    try:
        return TYPES[member].validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise CheckpointError(f"{member} is not as the format has it: {reason}", where=where) from None


def json_schema() -> dict[str, Any]:
    """JSON Schema of an object with one property a JSON member."""
    names = list(TYPES)
    by_key, defined = TypeAdapter.json_schemas([(name, "validation", TYPES[name]) for name in names])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT} version {VERSION}",
        "description": "The JSON members of a package, by name.",
        "type": "object",
        "properties": {name: by_key[name, "validation"] for name in names},
        "required": [MANIFEST, MODEL],
        **defined,
    }


def schema_text() -> str:
    """`json_schema` as it is shipped."""
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
