"""Networks as plain data: YAML and JSON files, both ways.

A file holds a list of layers, or a mapping::

    input_shape: [1, 28, 28]          # may be left to the data
    layers: [{conv2d: [16, 3]}, relu, flatten, {linear: num_classes}]

or a graph: ``inputs: {left: [64], right: [64]}``, ``layers`` with ``from``, and ``outputs``. The word ``num_classes``
as a value stands for the number of classes. Names are those of `LAYERS`; a user's own ``./my.py:Net`` is taken only
from a file that the user named. Nothing else is ever run: no ``_target_``, no interpolation, no YAML tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scirs_neural.builder.blocks import Chain
from scirs_neural.builder.model import Model
from scirs_neural.builder.node_specs import FORMAT
from scirs_neural.builder.nodes import Scope
from scirs_neural.builder.sequential import Sequential
from scirs_neural.builder.symbol import Input
from scirs_neural.core.errors import ConfigError, RefusedError
from scirs_neural.core.importing import is_file
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.guard.text import read_json, read_yaml

PLACEHOLDER = "num_classes"
MAX_ENTRIES = 100_000  # YAML aliases can write a spec that is larger than any memory
_LIST_KEYS = ("format", "input_shape", "dtype", "layers")
_GRAPH_KEYS = ("format", "inputs", "layers", "outputs")


def load_model_file(
    path: str | Path,
    *,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    allow_files: bool = False,
) -> Model:
    """Build the network that a YAML or JSON file describes.

    Args:
        path: the file.
        input_shape: of one sample, without the batch. A shape in the file itself must agree with it.
        num_classes: what the word ``num_classes`` stands for.
        allow_files: take classes of Python files (``./my.py:Net``). Set it only where the user named the file.

    Raises:
        ConfigError: no such file, no valid YAML or JSON, or a fault in the network.
        ShapeError: a layer that cannot take what comes to it, named by its path.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"no such file: {path}")
    try:
        spec = read_json(file) if file.suffix == ".json" else read_yaml(file)
    except RefusedError as error:
        raise ConfigError(f"the network file cannot be read: {error.what}", where=str(path)) from error
    return build(
        spec,
        input_shape=input_shape,
        num_classes=num_classes,
        allow_files=allow_files,
        where=str(path),
        folder=file.parent,
    )


def build(
    spec: Any,
    *,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    allow_files: bool = False,
    where: str | None = None,
    folder: Path | None = None,
) -> Model:
    """Build a network from plain data.

    Args:
        spec: a list of layers, or a mapping as in a file.
        input_shape: of one sample, without the batch.
        num_classes: what the word ``num_classes`` stands for.
        allow_files: take classes of Python files.
        where: where the spec came from, for errors.
        folder: where such files are looked for first.

    Raises:
        ConfigError: a fault in the spec.
        ShapeError: a layer that cannot take what comes to it, named by its path.

    Example:
        >>> build([{"linear": 4}, "relu", {"linear": "num_classes"}], input_shape=(2,), num_classes=3).output_shape
        (None, 3)
    """
    plain = {"layers": spec} if isinstance(spec, (list, tuple)) else spec
    if not isinstance(plain, Mapping):
        raise ConfigError(
            f"a network cannot be made of {plain!r}", where=where, fix="give a list of layers, or a mapping"
        )
    known = _GRAPH_KEYS if "inputs" in plain else _LIST_KEYS
    for key in plain:
        if key not in known:
            suggestions = did_you_mean(str(key), {*_GRAPH_KEYS, *_LIST_KEYS})
            raise ConfigError(
                f"unknown key '{key}' of a network", where=where, suggestions=suggestions, fix=", ".join(known)
            )
    if plain.get("format", FORMAT) != FORMAT:
        raise ConfigError(f"the network has format {plain['format']!r}, this version reads {FORMAT}", where=where)
    layers = plain.get("layers")
    if not isinstance(layers, (list, tuple)):
        raise ConfigError("a network needs 'layers', a list", where=where)
    ready = _Reader(num_classes, allow_files, where, folder).read(list(layers))
    place = f"{where}, layers" if where else "layers"
    if "inputs" in plain:
        return _graph(plain, ready, place, where)
    own = plain.get("input_shape")
    if own is not None and input_shape is not None and tuple(own) != tuple(input_shape):
        raise ConfigError(
            f"the network is for inputs of shape {tuple(own)}, the data has {tuple(input_shape)}",
            where=where,
            fix="leave input_shape out of the file",
        )
    shape = input_shape if own is None else own
    if shape is None:
        raise ConfigError(
            "the shape of the input is not known", where=where, fix="add input_shape: [channels, height, width]"
        )
    return Sequential(ready, shape, dtype=str(plain.get("dtype", "float32")), where=place)


def _graph(plain: Mapping[str, Any], layers: list[Any], place: str, where: str | None) -> Model:
    inputs = plain["inputs"]
    if not isinstance(inputs, Mapping) or not inputs:
        raise ConfigError(f"inputs is {inputs!r}, expected names with shapes", where=where)
    symbols: dict[str, Any] = {}
    for name, fact in inputs.items():
        full: Mapping[str, Any] = fact if isinstance(fact, Mapping) else {"shape": fact}
        symbols[str(name)] = Input(full.get("shape", ()), dtype=full.get("dtype", "float32"), name=str(name))
    scope = Scope(values=dict(symbols), paths=dict(symbols))
    end = Chain(layers, where=place).apply(next(iter(symbols.values())), (), scope)
    outputs = plain.get("outputs")
    if outputs is None:
        return Model(symbols, end)

    def find(name: Any) -> Any:
        return scope.find(str(name), ("outputs",), where)

    if isinstance(outputs, Mapping):
        return Model(symbols, {str(key): find(name) for key, name in outputs.items()})
    return Model(symbols, [find(name) for name in outputs] if isinstance(outputs, (list, tuple)) else find(outputs))


class _Reader:
    """Copies a spec: fills in the number of classes, and refuses what would run anything."""

    def __init__(self, num_classes: int | None, allow_files: bool, where: str | None, folder: Path | None) -> None:
        self.num_classes, self.allow_files, self.where, self.folder = num_classes, allow_files, where, folder
        self.entries = 0

    def read(self, value: Any) -> Any:
        """The copy."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise ConfigError(f"the network has more than {MAX_ENTRIES} entries", where=self.where)
        if isinstance(value, Mapping):
            for key in value:
                if isinstance(key, str) and key.startswith("_") and key.endswith("_"):
                    fix = "networks are data: names of layers and their options"
                    raise ConfigError(f"'{key}' is not taken in a network", where=self.where, fix=fix)
            return {self.name(key): self.read(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.read(part) for part in value]
        return self.name(value)

    def name(self, value: Any) -> Any:
        """A scalar: a name, a number, or the word for the number of classes."""
        if not isinstance(value, str):
            return value
        if "${" in value:
            raise ConfigError(f"'{value}': interpolation is not taken in a network", where=self.where)
        if value == PLACEHOLDER:
            if self.num_classes is None:
                raise ConfigError("the network says num_classes, but no number was given", where=self.where)
            return self.num_classes
        file, colon, attribute = value.rpartition(":")
        if not colon:
            return value
        if not self.allow_files or not is_file(file):
            fix = "such a name is taken only from a network file that you name yourself, and only of a .py file"
            raise ConfigError(f"'{value}' names Python code", where=self.where, fix=fix)
        beside = (self.folder or Path()) / file
        return f"{beside}:{attribute}" if beside.is_file() else value
