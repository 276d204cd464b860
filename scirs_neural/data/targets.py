"""Targets of the common kinds: one class, any number of classes, numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scirs_neural.core.errors import CheckpointError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.field import Field, FieldSpec

if TYPE_CHECKING:
    from scirs_neural.data.samples import Samples

IGNORED = -100
"""Stands for a class that is not known: torch's ``ignore_index``."""
_MOST_DIGITS = 100  # Python refuses to make a number of very many
_TINY = 1e-8  # numbers that are all alike are not scaled


class _Classes(Field):
    """What targets of named classes share."""

    mixable = True

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description to the schema: a list of class names."""
        super().check(spec, where)
        names = spec.get("classes")
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
            raise CheckpointError(f"a field of kind '{cls.kind}' has no list of class names", where=where)

    @property
    def classes(self) -> Sequence[str]:
        """The names, in the order of the class numbers."""
        names: Sequence[str] = self.spec["classes"]
        return names

    def model_arguments(self) -> dict[str, Any]:
        """``num_classes``."""
        return {"num_classes": len(self.classes)}

    def _number(self, value: Any, where: str) -> int:
        if isinstance(value, str):
            if value in self.classes:
                return self.classes.index(value)
        elif float(value) == int(value) and 0 <= int(value) < len(self.classes):
            return int(value)
        raise unknown_class(str(value), self.classes, where)


class ClassField(_Classes):
    """One of several classes. Encoded as its number; -100 where it is not known.

    Description: ``classes``, their names.

    Example:
        >>> label = ClassField("label", {"kind": "class", "classes": ["cat", "dog"]})
        >>> label.encode("dog"), label.encode(0), label.describe()
        (1, 0, '2 classes')
    """

    kind = "class"
    missing = IGNORED

    @classmethod
    def check_known(cls, name: str, known: FieldSpec) -> None:
        """Refuse data of a single class."""
        classes = list(known["classes"])
        if len(classes) < 2:
            one = f"one class ({classes[0]!r}): there is nothing to tell apart" if classes else "no classes"
            raise DataError(f"'{known.get('column', name)}' has {one}", fix="give samples of at least two classes")

    def encode(self, value: Any, where: str = "") -> int:
        """A class's number, from its name or number."""
        return IGNORED if not isinstance(value, str) and value == IGNORED else self._number(value, where)

    def example(self, n: int) -> Any:
        """One class after the other."""
        import torch

        return torch.arange(n) % max(1, len(self.classes))

    def describe(self) -> str:
        """How many classes."""
        return f"{len(self.classes)} classes"


class LabelsField(_Classes):
    """Any number of several classes. Encoded as a row of zeros and ones; NaN where they are not known.

    Description: ``classes``, their names.

    Example:
        >>> LabelsField("label", {"kind": "labels", "classes": ["red", "old"]}).encode(["old"]).tolist()
        [0.0, 1.0]
    """

    kind = "labels"

    @property
    def missing(self) -> np.ndarray:
        """A row of NaN."""
        return np.full(len(self.classes), np.nan, dtype=np.float32)

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """A row (K,) float32, from the names of the classes that apply, or from a row."""
        if isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value):
            row = np.zeros(len(self.classes), dtype=np.float32)
            for name in value:
                row[self._number(name, where)] = 1.0
            return row
        row = np.asarray(value, dtype=np.float32)
        if row.shape != (len(self.classes),):
            raise self.refuse(f"a row of {len(self.classes)} zeros and ones, not of shape {row.shape}", where)
        return row

    def example(self, n: int) -> Any:
        """Every second class applies, by turns."""
        import torch

        return (torch.arange(n)[:, None] + torch.arange(len(self.classes))).remainder(2).float()

    def describe(self) -> str:
        """How many labels."""
        return f"{len(self.classes)} labels, any number a sample"


class NumbersField(Field):
    """One or several numbers, in the data's units. Float64; NaN where they are not known.

    Description: ``names`` of the numbers, ``mean`` and ``std`` of each over the training samples, by which a network's
    outputs are scaled, and ``units``, if known.

    Example:
        >>> price = NumbersField("price", {"kind": "numbers", "names": ["price"], "mean": [2.0], "std": [1.0]})
        >>> price.encode(3).tolist(), price.model_arguments()
        ([3.0], {'num_classes': 1})
    """

    kind = "numbers"
    settings_used = ("scale_targets",)

    @property
    def missing(self) -> np.ndarray:
        """NaN for each number."""
        return np.full(len(self.spec["names"]), np.nan)

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description to the schema."""
        super().check(spec, where)
        lengths = {len(spec.get(key, ())) for key in ("names", "mean", "std")}
        if len(lengths) != 1 or not spec["names"]:
            raise CheckpointError("a field of kind 'numbers' needs names, mean and std of one length", where=where)

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Measure mean and deviation over the training samples that have a number."""
        values = train.known(name)
        if values is None:
            raise DataError(f"'{name}': numbers to be predicted must be in memory")
        rows = np.asarray(values, dtype=np.float64).reshape(len(train), -1)
        if np.isinf(rows).any():
            raise DataError(f"'{name}' has numbers that are not finite")
        mean, std = scaling(rows, bool(settings.get("scale_targets", True)))
        return {"kind": cls.kind, "version": cls.version, **known, "mean": mean, "std": std}

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """The numbers (K,) float64."""
        try:
            row = np.asarray(value, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise self.refuse(f"{value!r} is no number", where) from error
        if len(row) != len(self.spec["names"]) or np.isinf(row).any():
            raise self.refuse(f"{len(self.spec['names'])} finite numbers are needed, not {value!r}", where)
        return row

    def collate(self, values: Any, ctx: Any, keys: Sequence[int]) -> Any:
        """Rows (N, K) float64."""
        import torch

        rows = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values, dtype=np.float64))
        return rows.reshape(len(rows), -1)

    def example(self, n: int) -> Any:
        """From one deviation below the means to one above."""
        import torch

        mean, std = (np.asarray(self.spec[key], dtype=np.float64) for key in ("mean", "std"))
        return torch.from_numpy(mean + std * np.linspace(-1, 1, n)[:, None])

    def model_arguments(self) -> dict[str, Any]:
        """``num_classes``: how many numbers the network gives."""
        return {"num_classes": len(self.spec["names"])}

    def describe(self) -> str:
        """The names."""
        names = self.spec["names"]
        return f"number {names[0]}" if len(names) == 1 else f"{len(names)} numbers: {', '.join(names)}"


def scaling(rows: np.ndarray, scale: bool = True) -> tuple[list[float], list[float]]:
    """Mean and deviation of each column, NaN left out; 0 and 1 without ``scale``, and 1 where all are alike.

    Example:
        >>> scaling(np.array([[1.0, 5.0], [3.0, 5.0]]))
        ([2.0, 5.0], [1.0, 1.0])
    """
    if not scale:
        return [0.0] * rows.shape[1], [1.0] * rows.shape[1]
    import torch

    columns = [torch.from_numpy(column[~np.isnan(column)]) for column in np.ascontiguousarray(rows.T, np.float64)]
    if all(len(column) == len(rows) for column in columns):
        whole = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float64))
        means, stds = whole.mean(0).tolist(), whole.std(0, correction=0).tolist()
    else:
        means = [float(column.mean()) for column in columns]
        stds = [float(column.std(correction=0)) for column in columns]
    return means, [std if std > _TINY else 1.0 for std in stds]


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels in order: as numbers if all are whole numbers, else by spelling.

    Example:
        >>> class_names(["10", "9", "9"]), class_names(["b", "a"])
        (('9', '10'), ('a', 'b'))
    """
    different = set(labels)
    whole = all(label.removeprefix("-").isdecimal() and len(label) < _MOST_DIGITS for label in different)
    return tuple(sorted(different, key=(lambda label: (int(label), label)) if whole else None))


def class_targets(labels: Sequence[str], classes: Sequence[str], where: Sequence[str]) -> np.ndarray:
    """The place of each label among the classes.

    Args:
        labels: one a sample.
        classes: see `class_names`.
        where: where each label stands, for the error.

    Shape: (N,) int64.

    Raises:
        DataError: a label is no class.
    """
    place = {name: index for index, name in enumerate(classes)}
    for label, spot in zip(labels, where, strict=True):
        if label not in place:
            raise unknown_class(label, classes, spot)
    return np.array([place[label] for label in labels], dtype=np.int64)


def label_targets(labels: Sequence[Sequence[str]], classes: Sequence[str], where: Sequence[str]) -> np.ndarray:
    """A row of zeros and ones for each sample.

    Shape: (N, K) float32.

    Raises:
        DataError: a label is no class.
    """
    place = {name: index for index, name in enumerate(classes)}
    rows = np.zeros((len(labels), len(classes)), dtype=np.float32)
    for row, (names, spot) in enumerate(zip(labels, where, strict=True)):
        for name in names:
            if name not in place:
                raise unknown_class(name, classes, spot)
            rows[row, place[name]] = 1.0
    return rows


def unknown_class(label: str, classes: Sequence[str], where: str) -> DataError:
    """The error for a label that training did not know."""
    return DataError(
        f"label '{label}' is not among the {len(classes)} classes of the training samples",
        where=where or None,
        suggestions=did_you_mean(label, classes),
    )
