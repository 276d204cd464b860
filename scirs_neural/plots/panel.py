"""What the panels of a report are made with: pictures on the page, samples to look at, and parts that tasks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from scirs_neural.core.importing import resolve
from scirs_neural.core.paths import atomic_write, storage_errors
from scirs_neural.core.terminal import number, percent
from scirs_neural.plots import page
from scirs_neural.plots.images import worst_errors
from scirs_neural.plots.style import png, shorten

if TYPE_CHECKING:
    from scirs_neural.evaluation.predictions import Predictions
    from scirs_neural.evaluation.report import Evaluation
    from scirs_neural.evaluation.rows import ClassScores, Mistake

Show = Callable[[str], Any]
"""From a sample's id to what people look at: an image (H, W) or (H, W, 3), a text, or None if it is not at hand."""

CSS_PX = 96
MAX_ROWS = 40  # of a table that stands open
MAX_FOLDED = 1000  # of one that is folded
MAX_MISTAKES = 20
_MAX_TEXT = 400


@dataclass(frozen=True)
class Easel:
    """Where panels draw.

    Args:
        folder: the plots are also written to, as PNG files.
        show: see `Show`.
        split: what the samples are called: "test", "val", "out-of-fold".
        prefix: put before the names of plots, where several targets have the same panels.
    """

    folder: Path
    show: Show
    split: str = "test"
    prefix: str = ""

    def draw(self, name: str, figure: Figure, alt: str) -> str:
        """A figure as a part of the page, and as a file.

        Args:
            name: of the file, without suffix.
            figure: what to draw.
            alt: what it shows, for those who do not see it.

        Raises:
            StorageError: the file cannot be written.
        """
        content = png(figure)
        path = self.folder / f"{self.prefix}{name}.png"
        with storage_errors(path.parent, "make the folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
        return page.picture(content, alt, width=round(figure.get_figwidth() * CSS_PX))

    def within(self, target: str) -> Easel:
        """The same for one of several targets."""
        safe = "".join(c if c.isalnum() or c in "_-" else "_" for c in target)
        return Easel(self.folder, self.show, self.split, f"{self.prefix}{safe}-")


def sections_of(evaluation: Evaluation, pred: Predictions, easel: Easel) -> Sequence[page.Section]:
    """The part of a report that a kind of predictions makes; nothing for a kind without panels."""
    if not pred.panels:
        return ()
    found: Sequence[page.Section] = resolve(pred.panels)(evaluation, pred, easel)
    return found


def class_tables(rows: Sequence[ClassScores]) -> list[str]:
    """Precision, recall and F1 of every class: of many the weakest, and more of them folded."""
    head = ("class", "precision", "recall", "F1", "samples")

    def table(shown: Sequence[ClassScores], caption: str = "") -> str:
        cells = [(c.name, cell(c.precision), cell(c.recall), cell(c.f1), f"{c.support:,}") for c in shown]
        return page.table(head, cells, numeric=(1, 2, 3, 4), caption=caption)

    if len(rows) <= MAX_ROWS:
        return [table(rows)]
    worst = sorted(rows, key=lambda c: c.f1 if np.isfinite(c.f1) else 2.0)
    first = table(worst[:MAX_ROWS], f"The {MAX_ROWS} classes with the lowest F1")
    if len(rows) <= MAX_FOLDED:
        return [first, page.folded(f"All {len(rows)} classes", table(rows))]
    note = page.paragraph(f"All {len(rows):,} classes are in the run's evaluation file.", muted=True)
    return [first, page.folded(f"The weakest {MAX_FOLDED:,} of {len(rows):,} classes", table(worst[:MAX_FOLDED])), note]


def mistakes(rows: Sequence[Mistake], samples: int, easel: Easel) -> list[str]:
    """The wrong samples of which the network was surest, with their pictures or texts."""
    if not rows:
        return [page.paragraph(f"Not one of the {samples:,} {easel.split} samples is wrong.")]
    shown = rows[:MAX_MISTAKES]
    views = {row.id: easel.show(row.id) for row in shown}
    pictures = {name: view for name, view in views.items() if isinstance(view, np.ndarray)}
    texts = {name: view for name, view in views.items() if isinstance(view, str)}
    head, numeric = ["sample", "true", "predicted", "confidence"], [3]
    cells = [[m.id, m.target, m.predicted, percent(m.confidence)] for m in shown]
    if texts:
        cells = [[*row, shorten(texts.get(row[0], ""), _MAX_TEXT)] for row in cells]
        return [page.table([*head, "text"], cells, numeric=numeric)]
    table = page.table(head, cells, numeric=numeric)
    if not pictures:
        return [page.paragraph("The pictures of these samples are not at hand.", muted=True), table]
    figure = worst_errors(shown, pictures.get)
    alt = f"The {len(shown)} wrong samples with the highest confidence; the table below names them."
    return [easel.draw("worst_errors", figure, alt), page.folded("As a table", table)]


def cell(value: float | None) -> str:
    """A number for a cell of a table; a dash where there is none.

    Example:
        >>> cell(0.5), cell(float("nan")), cell(12.0)
        ('0.5000', '-', '12')
    """
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return number(int(value)) if float(value).is_integer() and abs(value) >= 2 else number(value, fixed=True)
