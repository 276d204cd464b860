"""One split as users see it: its samples by index, without augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scirs_neural.core.errors import DataError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import ID, Pipeline
from scirs_neural.data.samples import Samples


class Split:
    """The samples of one split, as a network sees them in evaluation.

    ``ids[i]`` names sample i (its file, or its place in the source), so predictions of an evaluation loader, which
    keeps this order, can be joined to them.

    Args:
        samples: of the split.
        pipeline: of the data.
    """

    def __init__(self, samples: Samples, pipeline: Pipeline) -> None:
        self.samples, self.pipeline = samples, pipeline

    @property
    def ids(self) -> Sequence[Any]:
        """What names each sample."""
        return self.samples.ids

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """What else is known of each sample, by name."""
        return self.samples.columns

    @property
    def targets(self) -> np.ndarray:
        """The encoded values (N, …) of the only target.

        Raises:
            DataError: the data has no target or several, or its target is only read with each sample.
        """
        if len(self.pipeline.targets) != 1:
            raise DataError(f"the data has {len(self.pipeline.targets)} targets: use samples.known(name)")
        (name,) = self.pipeline.targets
        values = self.samples.known(name)
        if values is None:
            raise DataError(f"the target '{name}' is read with each sample: it is not in memory")
        return values

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One sample: its "id", inputs and targets, without a batch's axis."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        batch = self.batch([index % len(self)])
        return {name: values[0] for name, values in batch.items()}

    def raw(self, index: int) -> dict[str, Any]:
        """One sample before it is encoded, with its "id"."""
        return {ID: str(self.ids[index]), **self.samples.raw(index)}

    def batch(self, indices: Sequence[int]) -> Batch:
        """The batch of some samples."""
        columns = self.samples.stacked(indices)
        if columns is None:
            return self.pipeline.collate([self.raw(index) for index in indices], targets=True, keys=indices)
        return self.pipeline.batch([str(self.ids[index]) for index in indices], columns, Context("val"), indices)

    def show(self, index: int) -> Any:
        """The first input of a sample for people to look at: an array (H, W) or (H, W, 3), or a text."""
        name, held = next(iter(self.pipeline.inputs.items()))
        return held.show(self.samples.raw(index)[name])
