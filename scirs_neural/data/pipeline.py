"""From raw samples to batches: one generic pipeline over the fields of a spec."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.field import Field
from scirs_neural.data.registry import FIELDS
from scirs_neural.data.spec import DataSpec

ID, WEIGHT = "id", "weight"


class Pipeline:
    """Loops over the fields of a spec. It is subclassed only where fields depend on each other.

    The same `encode` and `collate` serve training, evaluation, prediction, servers and exports.

    Args:
        spec: the data's description.
        settings: of training alone (augmentation), as in ``data.*``; None for use.

    Attributes:
        sample_axis: fields whose samples do not lie along the first axis: name to axis, or None where all samples share
            the value.

    Example:
        >>> spec = DataSpec("toy", {}, {"label": {"kind": "class", "classes": ["cat", "dog"]}})
        >>> batch = Pipeline(spec).collate([{"id": "a", "label": "dog"}, {"id": "b", "label": None}], targets=True)
        >>> batch["id"], batch["label"].tolist()
        (['a', 'b'], [1, -100])
    """

    sample_axis: ClassVar[Mapping[str, int | None]] = {}

    def __init__(self, spec: DataSpec, settings: Mapping[str, Any] | None = None) -> None:
        self.spec = spec
        self.inputs = {name: field_of(name, held, settings) for name, held in spec.inputs.items()}
        self.targets = {name: field_of(name, held, settings) for name, held in spec.targets.items()}

    def encode(self, raw: Mapping[str, Any], *, targets: bool = False) -> dict[str, Any]:
        """The fields of one raw sample as numbers, with its "id". A target that is missing stays unknown.

        Args:
            raw: name to value, with "id".
            targets: whether the targets are wanted too.

        Raises:
            DataError: an input is missing, or a value is none of its field's kind.
        """
        where = str(raw[ID])
        row: dict[str, Any] = {ID: where}
        for name, held in self.inputs.items():
            if name not in raw:
                near = did_you_mean(name, [key for key in raw if key != ID])
                raise DataError(f"the sample has no '{name}'", where=where, suggestions=near)
            row[name] = held.encode(raw[name], where)
        if targets:
            for name, held in self.targets.items():
                value = raw.get(name)
                row[name] = held.missing if value is None else held.encode(value, where)
        if WEIGHT in raw:
            row[WEIGHT] = float(raw[WEIGHT])
        return row

    def collate(
        self,
        raws: Sequence[Mapping[str, Any]],
        ctx: Context | None = None,
        *,
        targets: bool = False,
        keys: Sequence[int] | None = None,
    ) -> Batch:
        """A batch of raw samples.

        Args:
            raws: see `encode`.
            ctx: in training, random augmentation is a function of it.
            targets: whether the targets are wanted too.
            keys: the samples' places in their split.
        """
        rows = [self.encode(raw, targets=targets) for raw in raws]
        columns = self.columns(rows, targets=targets)
        return self.batch([row[ID] for row in rows], columns, ctx or Context(), keys or range(len(rows)))

    def columns(self, rows: Sequence[Mapping[str, Any]], *, targets: bool = True) -> dict[str, list[Any]]:
        """The fields of samples that `encode` made, as lists by name."""
        names = [*self.inputs, *(self.targets if targets else ()), *((WEIGHT,) if rows and WEIGHT in rows[0] else ())]
        return {name: [row[name] for row in rows] for name in names}

    def batch(self, ids: Sequence[str], columns: Mapping[str, Any], ctx: Context, keys: Sequence[int]) -> Batch:
        """A batch of samples that are encoded already.

        Args:
            ids: one unique name a sample.
            columns: field to encoded values: a list, or an array or tensor of all.
            ctx: see `collate`.
            keys: see `collate`.
        """
        batch: Batch = {ID: list(ids)}
        for name, values in columns.items():
            held = self.inputs.get(name) or self.targets.get(name)
            batch[name] = _weights(values) if held is None else held.collate(values, ctx, keys)
        return batch | self.shared(ctx.settings)

    def read(self, inputs: Any) -> Iterator[dict[str, Any]]:
        """Raw samples, each with its "id", of what a user hands to ``predict``.

        Args:
            inputs: of data with one input, one value of it or any iterable of them, as the field's `Field.read` takes
                them; of several, a dict or an iterable of dicts, a sample each.
        """
        if len(self.inputs) == 1:
            ((name, held),) = self.inputs.items()
            is_named = isinstance(inputs, Mapping) and set(inputs) == {name}
            for source, value in held.read(inputs[name] if is_named else inputs):
                yield {ID: source, name: value}
            return
        for number, raw in enumerate([inputs] if isinstance(inputs, Mapping) else inputs):
            if not isinstance(raw, Mapping):
                names = ", ".join(self.inputs)
                raise DataError(f"a sample is a {type(raw).__name__}, not a dict of {names}", where=str(number))
            yield {ID: str(raw.get(ID, number)), **{key: value for key, value in raw.items() if key != ID}}

    def shared(self, settings: Mapping[str, Any]) -> Batch:
        """Fields that all samples of a batch share, from the settings of answering, such as prompts."""
        return {}

    def batch_key(self, raw: Mapping[str, Any]) -> Hashable:
        """Outside of training, only samples with equal keys share a batch: a size, where padding changes answers."""
        return None

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """A batch as so many smaller ones, or as many as it has samples.

        A nested dict with an "id" is another stream of samples, and is split in as many parts.

        Example:
            >>> import torch
            >>> parts = Pipeline(DataSpec("toy", {})).split({"id": ["a", "b", "c"], "x": torch.arange(3)}, 2)
            >>> [(part["id"], part["x"].tolist()) for part in parts]
            [(['a', 'b'], [0, 1]), (['c'], [2])]
        """
        count = len(batch[ID])
        step = -(-count // min(parts, count))
        edges = [(start, min(start + step, count)) for start in range(0, count, step)]
        streams = {k: self.split(v, len(edges)) for k, v in batch.items() if isinstance(v, dict) and ID in v}
        return [
            {k: streams[k][i] if k in streams else self._cut(k, v, *edge) for k, v in batch.items()}
            for i, edge in enumerate(edges)
        ]

    def example(self, n: int = 2) -> Batch:
        """A batch of made-up samples, from the spec alone: to try a network with."""
        fields = {**self.inputs, **self.targets}
        return {ID: [str(i) for i in range(n)], **{name: held.example(n) for name, held in fields.items()}}

    def _cut(self, name: str, value: Any, start: int, stop: int) -> Any:
        from torch import Tensor

        axis = self.sample_axis.get(name, 0)
        if axis is None:
            return value
        if isinstance(value, Tensor):
            return value.narrow(axis, start, stop - start)
        if isinstance(value, dict):
            return {key: self._cut(f"{name}.{key}", held, start, stop) for key, held in value.items()}
        return value[start:stop]


def field_of(name: str, spec: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Field:
    """The field that a description is of.

    Raises:
        ConfigError: no such kind is installed.
    """
    kind = spec.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise ConfigError(
            f"the field '{name}' is of the kind {kind!r}, which is not installed",
            suggestions=did_you_mean(str(kind), FIELDS.names()),
            fix="install the distribution that brings it",
        )
    made: Field = FIELDS.get(kind)(name, spec, settings)
    return made


def _weights(values: Any) -> Any:
    import torch

    return values if isinstance(values, torch.Tensor) else torch.tensor(values, dtype=torch.float32)
