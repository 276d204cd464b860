"""The types of a package's JSON members, version 2. The one source: the shipped JSON Schema is written from here.

The format fixes the envelope. What a field, a task or a plugin says inside it is checked by its owner, which a registry
has by name, so new kinds need no new version. ``python -m scirs_neural.serialization.schema`` prints the schema; a test
holds ``format-2.schema.json`` to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from scirs_neural.core.errors import CheckpointError

FORMAT = "scirs-neural-package"
VERSION = 2
SCHEMA_FILE = Path(__file__).parent / f"format-{VERSION}.schema.json"

MANIFEST, MODEL, WEIGHTS = "manifest.json", "model.json", "weights.safetensors"
SPEC, TASK, ANSWER, PLUGINS, METRICS = "spec.json", "task.json", "answer.json", "plugins.json", "metrics.json"
PLUGIN_TENSORS = "plugins/"
"""Prefix of the names in the weights file that belong to records of plugins, not to the network."""

FILES = r"weights\.safetensors|(tokenizer|exports)(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+"  # members that are not JSON
MEMBER = rf"^((model|spec|task|answer|plugins|metrics)\.json|{FILES})$"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Crc32 = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
MemberName = Annotated[str, Field(pattern=MEMBER, max_length=255)]
Count = Annotated[int, Field(ge=1, le=2**31)]
Dimension = Annotated[int, Field(ge=0, le=2**47)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = bool | int | Finite
Text = Annotated[str, Field(max_length=10_000)]
Name = Annotated[str, Field(pattern=r"^[^:/\\]+$", max_length=200)]


class Plain(BaseModel):
    """Exactly these keys, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Member(Plain):
    """One file of the package; those written before 0.1.0 have no crc32."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256
    crc32: Crc32 | None = None


class Part(Plain):
    """A name in the package, and the distribution that brings what it stands for."""

    kind: Literal["model", "layer", "field", "pipeline", "task", "plugin"]
    name: Name
    distribution: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=200)] | None
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.!+_-]{1,100}$")] | None = None


class Manifest(Plain):
    """``manifest.json``: what the package is, and the size and SHA-256 of every other member."""

    format: Literal["scirs-neural-package"]
    version: Literal[2]
    name: Text
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    libraries: dict[str, str]
    git_commit: Text | None
    licences: dict[str, str]
    parts: list[Part]
    migrated_from: int | None
    members: dict[MemberName, Member]
    digest: Sha256


class Channels(Plain):
    """The widths of a slim network: whole numbers of modules, and the shapes of tensors, that differ."""

    kind: Literal["channels"]
    modules: dict[str, dict[str, int | list[int]]]
    tensors: dict[str, list[Dimension]]


class Settings(Plain):
    """Other numbers of modules that differ from what the name builds."""

    kind: Literal["settings"]
    modules: dict[str, dict[str, Number | list[Number]]]


Modifications = list[Annotated[Channels | Settings, Field(discriminator="kind")]]


class ZooModel(Plain):
    """A network by registered name."""

    kind: Literal["zoo"]
    name: Name
    num_classes: Count | None = None
    in_channels: Count | None = None
    stem: Literal["auto", "standard", "small"] = "auto"
    input_size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    options: dict[str, JsonValue] = {}
    modifications: Modifications = []


class BuilderModel(Plain):
    """A network as a graph of registered layers."""

    kind: Literal["builder"]
    spec: dict[str, JsonValue]
    modifications: Modifications = []


class ClassModel(Plain):
    """A network of the user's own class, which is passed again to load it."""

    kind: Literal["class"]
    name: Text
    module: Text = ""
    options: dict[str, JsonValue] = {}
    modifications: Modifications = []


ModelFile = Annotated[ZooModel | BuilderModel | ClassModel, Field(discriminator="kind")]


class FieldRecord(Plain):
    """One input or target: its kind, the version of that kind's description, and what the kind says."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    kind: Name
    version: Count = 1


class SpecFile(Plain):
    """``spec.json``: the data spec. The order of inputs is that in which the network takes them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    format: Count
    name: Text
    inputs: dict[Text, FieldRecord]
    targets: dict[Text, FieldRecord]
    sizes: dict[str, Annotated[int, Field(ge=0)]] = {}
    description: Text = ""
    licence: Text = ""
    pipeline: Name = "fields"


class TaskFile(Plain):
    """``task.json``: what the network was asked for."""

    name: Name
    version: Count
    options: dict[str, JsonValue] = {}


class PluginRecord(Plain):
    """What a plugin did to the network. ``{"$tensor": name}`` in it stands for a tensor of the weights file."""

    name: Name
    version: Count
    record: dict[str, JsonValue] = {}


MetricsFile = dict[str, dict[str, int | Finite]]

TYPES: dict[str, TypeAdapter[Any]] = {
    MANIFEST: TypeAdapter(Manifest),
    MODEL: TypeAdapter(ModelFile),
    SPEC: TypeAdapter(SpecFile),
    TASK: TypeAdapter(TaskFile),
    ANSWER: TypeAdapter(dict[str, JsonValue]),
    PLUGINS: TypeAdapter(list[PluginRecord]),
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
        >>> check("task.json", {"name": "classification", "version": 1}, "a.zip").options
        {}
    """
    return checked(TYPES[member], member, plain, where)


def checked(kind: TypeAdapter[Any], member: str, plain: Any, where: str) -> Any:
    """Plain data as a type; see `check`."""
    try:
        return kind.validate_python(plain)
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
