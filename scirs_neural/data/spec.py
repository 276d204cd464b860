"""The data spec: what everything after the data needs to know of it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from scirs_neural.core.errors import CheckpointError, DataError

FORMAT = 2


@dataclass(frozen=True)
class DataSpec:
    """A description of a dataset: its inputs and targets by name, as plain data.

    A field's description has a "kind" and whatever prediction needs to repeat what training saw: size and range of
    pictures, columns and their scaling, class names, a tokenizer. Networks, losses, metrics, reports and packages are
    wired from it; nobody types ``num_classes``.

    Args:
        name: the dataset's name.
        inputs: name to description, in the order in which a network takes them.
        targets: name to description; several are several heads, none is for tasks that need none.
        sizes: samples per split: "train", "val", "test".
        description: one line: what it is and where it came from.
        licence: of the data, if known.
        pipeline: name of the pipeline in `scirs_neural.data.registry.PIPELINES`.

    Example:
        >>> image = {"kind": "image", "version": 1, "channels": 1, "size": [8, 8]}
        >>> spec = DataSpec("digits", {"image": image}, {"label": {"kind": "class", "classes": ["0", "1"]}})
        >>> spec.target["classes"]
        ['0', '1']
        >>> DataSpec.from_dict(spec.to_dict()) == spec
        True
    """

    name: str
    inputs: Mapping[str, Mapping[str, Any]]
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    description: str = ""
    licence: str = ""
    pipeline: str = "fields"

    @property
    def input(self) -> Mapping[str, Any]:
        """The description of the only input."""
        return self._only("input", self.inputs)

    @property
    def target(self) -> Mapping[str, Any]:
        """The description of the only target."""
        return self._only("target", self.targets)

    def part(self, target: str) -> DataSpec:
        """The same data with one of its targets."""
        return replace(self, targets={target: self.targets[target]})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it is kept in run folders, checkpoints and packages."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str | None = None) -> DataSpec:
        """The spec that `to_dict` gave the plain data of, also in its first format.

        Args:
            plain: the data.
            where: the file that it came from, for errors.

        Raises:
            CheckpointError: it is of a newer format, or no description of data.
        """
        try:
            found = cls(**{key: value for key, value in migrate(plain).items() if key != "format"})
            kinds = [held["kind"] for held in (*found.inputs.values(), *found.targets.values())]
            if not all(isinstance(text, str) for text in (found.name, found.description, found.pipeline, *kinds)):
                raise TypeError("a name in it is not a text")
            if not all(type(size) is int and size >= 0 for size in found.sizes.values()):
                raise TypeError("a size in it is not a whole number")
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"the data spec cannot be read: {getattr(error, 'what', error)}"
            raise CheckpointError(what, where=where, fix=getattr(error, "fix", None)) from error
        return found

    @staticmethod
    def _only(what: str, fields: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        if len(fields) != 1:
            names = ", ".join(fields) or "none"
            raise DataError(f"the data has {len(fields)} {what}s ({names}) where one is needed")
        return next(iter(fields.values()))


def migrate(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spec of any format as one of the newest.

    The first format knew images with classes, and rows of numbers as images of one pixel.
    """
    version = plain.get("format", 1)
    if version == FORMAT:
        return plain
    if version != 1:
        raise DataError(f"a data spec of format {version!r}, this library knows {FORMAT}", fix="update scirs-neural")
    pre, names = plain["preprocess"], list(plain["classes"])
    if plain.get("shape"):
        columns = [
            {"name": f"column_{i}", "type": "number", "mean": mean, "std": std}
            for i, (mean, std) in enumerate(zip(pre["mean"], pre["std"], strict=True))
        ]
        inputs = {"row": {"kind": "table", "version": 1, "columns": columns}}
    else:
        image = {"kind": "image", "version": 1, **{k: list(v) if isinstance(v, tuple) else v for k, v in pre.items()}}
        inputs = {"image": image}
    if plain.get("target_mean"):
        target = {
            "kind": "numbers", "names": names, "mean": list(plain["target_mean"]), "std": list(plain["target_std"]),
        }  # fmt: skip
    else:
        target = {"kind": "labels" if plain.get("multi_label") else "class", "classes": names}
    return {
        "format": FORMAT, "name": plain["name"], "inputs": inputs,
        "targets": {"target" if "row" in inputs else "label": {"version": 1, **target}},
        "sizes": dict(plain.get("sizes", {})), "description": plain.get("description", ""),
        "licence": plain.get("licence", ""), "pipeline": "fields",
    }  # fmt: skip
