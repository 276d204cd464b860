"""Pictures of samples: what the net got wrong, and what it is fed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scirs_neural.core.errors import ShapeError
from scirs_neural.plots.style import DIVERGING, INK, MUTED, new_figure, shorten, styled

if TYPE_CHECKING:
    from scirs_neural.evaluation.rows import Mistake

ImageSource = Callable[[str], np.ndarray | None]
_MAX_ID = 26  # characters of a sample's name, of which the end says most
SPREAD = 3.0  # normalised values shown run from minus to plus this many standard deviations


def worst_errors(mistakes: Sequence[Mistake], images: ImageSource, *, limit: int = 20) -> Figure:
    """The wrong samples of which the net was surest, each with its true class, its predicted one and the confidence.

    Args:
        mistakes: worst first.
        images: from a sample's id to its picture: (H, W), (H, W, C) or (C, H, W), bytes or 0..1; None if there is none.
        limit: how many to show.
    """
    shown = list(mistakes[:limit])
    columns = min(5, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    width, height = max(3.0, 1.7 * columns), 0.35 + 2.2 * rows
    with styled():
        figure = new_figure(width, height, constrained=False)
        title = "Worst errors" if shown else "No errors"
        figure.suptitle(
            title, x=0.08 / width, y=1 - 0.05 / height, ha="left", va="top", fontweight="bold", fontsize=10.5
        )
        for i, mistake in enumerate(shown):
            row, column = divmod(i, columns)
            left, bottom = 0.08 + 1.7 * column, height - 0.35 - 2.2 * row - 2.0  # in inches: layouts cost seconds
            axes = figure.add_axes((left / width, bottom / height, 1.54 / width, 1.54 / height))
            axes.set(xticks=[], yticks=[], anchor="NW")
            axes.spines[:].set_visible(False)
            picture = images(mistake.id)
            if picture is None:
                axes.text(0.5, 0.5, "no picture", ha="center", va="center", color=MUTED, transform=axes.transAxes)
            else:
                axes.imshow(displayable(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            _caption(axes, mistake)
        return figure


def input_grid(
    images: np.ndarray,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    targets: Sequence[int] | np.ndarray | None = None,
    classes: Sequence[str] = (),
    limit: int = 16,
) -> Figure:
    """A batch twice: as pictures again on the left, and on the right as the numbers that the net gets.

    Args:
        images: (N, C, H, W), normalised.
        mean: per channel, on the scale 0..1.
        std: per channel, on the scale 0..1.
        targets: class numbers (N,), or rows of shares (N, K) that sum to 1, of which the largest is named;
            anything else, such as masks, numbers or several labels, is not named.
        classes: names.
        limit: how many to show.

    Raises:
        ShapeError: the images do not have as many channels as there are means.
    """
    if images.ndim != 4 or images.shape[1] != len(mean):
        raise ShapeError(f"the batch is {images.shape}, expected (N, {len(mean)}, H, W)")
    batch = np.asarray(images[:limit], dtype=np.float32)
    m, s = (np.asarray(part, dtype=np.float32)[:, None, None] for part in (mean, std))
    names = (
        [_class_name(target, classes) for target in (() if targets is None else targets[:limit])]
        if _are_single(targets)
        else []
    )
    with styled():
        figure = new_figure(9.2, 5.2, constrained=False)
        left, right = figure.add_axes((0.01, 0.11, 0.475, 0.83)), figure.add_axes((0.515, 0.11, 0.475, 0.83))
        pictures = [displayable(image * s + m) for image in batch]
        left.imshow(mosaic(pictures), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        left.set_title("Training input, as pictures")
        net_views = [_net_view(image) for image in batch]
        drawn = right.imshow(mosaic(net_views), cmap=DIVERGING, vmin=-SPREAD, vmax=SPREAD, interpolation="nearest")
        right.set_title("…as the net sees it")
        for axes in (left, right):
            axes.set_axis_off()
            axes.set_anchor("NW")
        columns = _columns(len(batch))
        high, wide = batch.shape[2:]
        for i, name in enumerate(names):
            row, column = divmod(i, columns)
            at = column * (wide + _gap(wide)) + wide / 2, row * (high + _gap(high)) + high + _gap(high) / 2
            left.text(*at, name, ha="center", va="center", fontsize=7.5)
        numbers = f"batch: mean {images.mean():.2f}, std {images.std():.2f}, {images.min():.2f} to {images.max():.2f}"
        if batch.shape[1] == 1:
            bar = figure.colorbar(drawn, cax=figure.add_axes((0.60, 0.085, 0.3, 0.018)), orientation="horizontal")
            bar.outline.set_visible(False)
            bar.set_label(numbers, color=INK, fontsize=8.5)
        else:
            scale = f"channels from -{SPREAD:g} (dark) to +{SPREAD:g} (bright)\n"
            figure.text(0.515, 0.02, scale + numbers, fontsize=8)
        return figure


def mosaic(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one size in rows, with gaps that are drawn as paper.

    Example:
        >>> mosaic([np.zeros((10, 10)), np.ones((10, 10))]).shape
        (12, 22)
    """
    columns = _columns(len(pictures))
    rows = -(-len(pictures) // columns)
    high, wide = pictures[0].shape[:2]
    down, across = high + _gap(high), wide + _gap(wide)
    paper = np.nan if pictures[0].ndim == 2 else 1.0
    sheet = np.full((rows * down, columns * across - _gap(wide), *pictures[0].shape[2:]), paper)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        sheet[row * down : row * down + high, column * across : column * across + wide] = picture
    return sheet


def displayable(image: np.ndarray) -> np.ndarray:
    """A picture as matplotlib shows it: (H, W) or (H, W, 3), from 0 to 1.

    Raises:
        ShapeError: it is no picture.

    Example:
        >>> displayable(np.full((3, 2, 2), 255, dtype=np.uint8)).shape
        (2, 2, 3)
    """
    array = np.asarray(image)
    array = array / 255.0 if array.dtype == np.uint8 else array.astype(np.float32)
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise ShapeError(f"an array of shape {np.shape(image)} is no picture")
    return np.clip(np.nan_to_num(array), 0, 1)[..., :3] if array.ndim == 3 else np.clip(np.nan_to_num(array), 0, 1)


def _columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _gap(length: int) -> int:
    return max(2, round(0.16 * length))


def _net_view(image: np.ndarray) -> np.ndarray:
    if len(image) == 1:
        return image[0]
    scaled = np.clip((image[:3] + SPREAD) / (2 * SPREAD), 0, 1)
    missing = np.zeros((3 - len(scaled), *scaled.shape[1:]), dtype=scaled.dtype)
    return np.moveaxis(np.concatenate([scaled, missing]), 0, -1)


def _are_single(targets: Sequence[int] | np.ndarray | None) -> bool:
    """Whether each target is one class: a number, or shares of all classes."""
    array = np.asarray(() if targets is None else targets)
    if array.ndim == 1:
        return array.dtype.kind in "iu" and len(array) > 0
    return array.ndim == 2 and array.shape[1] > 1 and bool(np.allclose(array.sum(axis=1), 1, atol=1e-4))


def _class_name(target: object, classes: Sequence[str]) -> str:
    row = np.asarray(target)
    number = int(row.argmax()) if row.ndim else int(row)
    if number < 0:
        return "unknown"
    return shorten(classes[number], 14) if number < len(classes) else str(number)


def _caption(axes: Axes, mistake: Mistake) -> None:
    true, said = shorten(mistake.target, 16), shorten(mistake.predicted, 16)
    text = f"true  {true}\nsaid  {said}, {100 * mistake.confidence:.0f} %"
    axes.set_title(text, fontsize=8, fontweight="normal", loc="left", pad=4, linespacing=1.35)
    name = mistake.id if len(mistake.id) <= _MAX_ID else f"…{mistake.id[1 - _MAX_ID :]}"
    axes.set_xlabel(name, fontsize=6.5, color=MUTED, loc="left")
