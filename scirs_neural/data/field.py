"""A field: one named input or target of a sample, of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from scirs_neural.core.errors import CheckpointError, DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.samples import Samples

FieldSpec = Mapping[str, Any]
"""Plain data that describes a field: its "kind", the "version" of that kind's description, and what prediction needs to
repeat what training saw."""


class Field:
    """One named input or target of every sample.

    A subclass is one kind of value ("image", "class", "table"). It is registered in `scirs_neural.data.registry.FIELDS`
    under its kind, or by an entry point ``scirs_neural.field``. `encode` and `read` import no torch: a runtime without
    torch uses them too.

    Args:
        name: of the field in the spec and in batches.
        spec: its description, from `fit` or from a saved spec.
        settings: of training alone, such as augmentation; nothing that prediction needs.

    Attributes:
        kind: name of the kind.
        version: of the kind's description.
        settings_used: names of the settings in ``data.*`` that this kind understands.
        suffixes: of the files that hold values of this kind, for folders on a command line.
        mixable: weighted means of two encoded values make sense, as MixUp makes them; of class numbers, of their rows.
        missing: what stands for a target that is not known; it counts in no loss and no score.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    settings_used: ClassVar[tuple[str, ...]] = ()
    missing: ClassVar[Any] = None
    suffixes: ClassVar[frozenset[str]] = frozenset()
    mixable: ClassVar[bool] = False

    def __init__(self, name: str, spec: FieldSpec, settings: Mapping[str, Any] | None = None) -> None:
        self.name, self.spec, self.settings = name, spec, settings or {}

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """Hold a description that came out of a file to the kind's schema.

        Raises:
            CheckpointError: it is of a newer version, or not as the kind has it.
        """
        if spec.get("version", 1) != cls.version:
            raise CheckpointError(
                f"a field of kind '{cls.kind}' in version {spec.get('version')!r}, this library knows {cls.version}",
                where=where, fix="update scirs-neural",
            )  # fmt: skip

    @classmethod
    def check_known(cls, name: str, known: FieldSpec) -> None:
        """Refuse what whoever made the samples knows, before they are split.

        Raises:
            DataError: there is nothing to learn in such a field.
        """

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """The whole description: what is known of the field, and what the training samples alone can tell.

        Args:
            name: of the field.
            known: what whoever made the samples knows.
            train: the training samples.
            settings: the settings in ``data.*``.
        """
        return {"kind": cls.kind, "version": cls.version, **known}

    def encode(self, value: Any, where: str = "") -> Any:
        """One raw value (a path, an array, a text, a name) as numbers: an array, a number, or a list. No torch.

        Args:
            value: as a user or a file gives it.
            where: what the sample is called, for the error.

        Raises:
            DataError: it is no such value, or cannot be read.
        """
        raise NotImplementedError

    def collate(self, values: Sequence[Any] | np.ndarray | Tensor, ctx: Context, keys: Sequence[int]) -> Any:
        """The encoded values of a batch's samples as the network takes them.

        Args:
            values: one a sample; in memory already, an array or a tensor of all of them.
            ctx: in training, augmentation is a function of (seed, epoch, key).
            keys: one number a sample: its place in its split.

        Shape: (N, …), or a list of N.
        """
        import numpy as np
        import torch

        if isinstance(values, torch.Tensor):
            return values
        return torch.from_numpy(np.asarray(values))

    def example(self, n: int) -> Any:
        """A batch of ``n`` made-up values of this field, as `collate` gives it, from the description alone.

        Those of a target differ, and cover its classes where ``n`` is large enough: metrics are tried with them.
        """
        raise NotImplementedError

    def shape(self) -> tuple[int | None, ...]:
        """Of one value as the network sees it; None where it differs between samples."""
        return tuple(self.example(1).shape[1:])

    def model_arguments(self) -> dict[str, Any]:
        """What a network must be built with to take (or give) this field: ``in_channels``, ``num_classes``, …."""
        return {}

    def describe(self) -> str:
        """The field in a few words, for the header of a run: ``image 1x32x32``, ``10 classes``."""
        return self.kind

    def show(self, value: Any) -> Any:
        """A raw value as a report shows it: an image array (H, W) or (H, W, 3), or a text."""
        return str(value)

    def read(self, inputs: Any) -> Iterator[tuple[str, Any]]:
        """Name and raw value of each sample in what a user hands to ``predict``: one value, or any iterable of them."""
        for number, value in enumerate([inputs] if isinstance(inputs, str) else inputs):
            yield str(number), value

    def write_samples(self, values: Mapping[str, Any], folder: Path) -> None:
        """Write a few raw values, by name, as files that ``predict`` takes; a kind may have none."""

    def refuse(self, what: str, where: str = "") -> DataError:
        """The error for a value that is not of this kind."""
        return DataError(f"'{self.name}': {what}", where=where or None)
