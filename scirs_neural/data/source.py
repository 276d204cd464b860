"""What a dataset's builder returns: its samples and the facts that nobody else can know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scirs_neural.data.samples import Samples


@dataclass
class DataSource:
    """A dataset before it is split, measured and fed.

    Args:
        name: the dataset's name.
        train: its training samples.
        inputs: name to what is known of the field: its "kind", and all that its `Field.fit` cannot learn from samples.
        targets: the same of the targets.
        val: its own validation samples; None takes a fraction of ``train``.
        test: its own test samples; None takes a fraction of ``train``.
        description: one line.
        licence: of the data.
        shuffle_window: how many training samples in a row are shuffled among each other; None: all.
        pipeline: name of the pipeline.
        notes: what was inferred or left out, a line each, for the header of a run.
    """

    name: str
    train: Samples
    inputs: Mapping[str, Mapping[str, Any]]
    targets: Mapping[str, Mapping[str, Any]]
    val: Samples | None = None
    test: Samples | None = None
    description: str = ""
    licence: str = ""
    shuffle_window: int | None = None
    pipeline: str = "fields"
    notes: list[str] = field(default_factory=list)
