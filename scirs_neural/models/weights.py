"""Weights into a network, strictly: what does not fit is an error that lists it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import sep
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from scirs_neural.core.errors import CheckpointError, UnknownNameError
from scirs_neural.guard.weights import SUFFIXES, read_state_dict
from scirs_neural.models.catalog import ModelEntry, WeightsEntry
from scirs_neural.models.vision.build import adapt_kernel
from scirs_neural.models.vision.families import Layout

PREFIXES = ("module.", "_orig_mod.", "model.")  # DataParallel and DDP, torch.compile, LightningModules
_SHOWN = 3
_FAULTS = ("missing", "unexpected", "other shape")

Shape = tuple[int, ...]


@dataclass
class LoadReport:
    """What became of every name when a file was loaded into a network.

    Args:
        source: the file.
        loaded: names whose values were taken over, adapted ones included.
        missing: names of the network that the file lacks.
        unexpected: names of the file that the network lacks.
        mismatched: (name, shape in the file, shape in the network).
        replaced: names of a new head or stem, which keep the values that were drawn for them.
        adapted: (name, shape in the file, shape in the network) of values that were converted.
        dropped: names of the file's auxiliary classifiers.
        renamed: what was done to names before they were compared.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, Shape, Shape]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    adapted: list[tuple[str, Shape, Shape]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether everything that should have matched did."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        rows = [f"  {label:<12}{', '.join(names)}" for label, names in self._rows().items() if names]
        return "\n".join([f"{self.source}: {len(self.loaded)} tensors loaded", *rows])

    def faults(self) -> str:
        """What does not fit, on one line, with the first few names."""
        rows = [(label, names) for label, names in self._rows().items() if names and label in _FAULTS]
        return "; ".join(f"{len(names)} {label}: {_first(names)}" for label, names in rows)

    def _rows(self) -> dict[str, list[str]]:
        def shaped(rows: list[tuple[str, Shape, Shape]]) -> list[str]:
            return [f"{name} {list(theirs)} for {list(ours)}" for name, theirs, ours in rows]

        return {
            "missing": self.missing, "unexpected": self.unexpected, "other shape": shaped(self.mismatched),
            "new": self.replaced, "adapted": shaped(self.adapted), "left out": self.dropped, "renamed": self.renamed,
        }  # fmt: skip


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def find_weights(weights: str, entry: ModelEntry | None, name: str) -> Path | WeightsEntry:
    """What ``weights`` means: a file, or published weights. Nothing is read or fetched.

    Raises:
        UnknownNameError: neither a file name nor a published name of this network.
    """
    if sep in weights or "/" in weights or weights.endswith(SUFFIXES):
        return Path(weights).expanduser()
    if entry is not None:
        return entry.find_weights(weights)
    fix = f"give the path of a {' or '.join(SUFFIXES)} file, or leave weights out"
    raise UnknownNameError(f"{name} has no published weights, and '{weights}' is not a weights file", fix=fix)


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    layout: Layout | None = None,
    new_head: bool = False,
    new_stem: bool = False,
) -> LoadReport:
    """Load a weights file into a network, in place.

    Names must match one to one after wrappers' prefixes (``module.``, ``_orig_mod.``, ``model.``) are taken off, and
    shapes too, but for what the layout allows: a head for another number of classes if `new_head`, a stem of another
    kernel if `new_stem`, a first kernel for other channels (grey: the sum over RGB), the position embedding of a Vision
    Transformer for another input size (interpolated), and auxiliary classifiers, which are left out.

    Args:
        model: the network.
        path: the file.
        layout: where stem and head are; None allows no difference.
        new_head: whether the head may be another than the file's.
        new_stem: whether the first convolution may be.

    Returns:
        What became of every name.

    Raises:
        CheckpointError: the file cannot be used, or does not fit. Nothing of the network was changed.
    """
    ours = model.state_dict()
    report = LoadReport(Path(path).name)
    held = read_state_dict(path)
    _refuse_gaps(held, path)
    theirs = _rename(held, ours, layout, report)
    if layout is not None:
        theirs = _drop_aux(theirs, layout, report)
        theirs = _resize_positions(model, theirs, report)
        theirs = _adapt_stem(theirs, ours, layout, new_stem, report)
        if new_head:
            theirs = _skip(theirs, ours, f"{layout.head}.", report)
    return _load(model, theirs, report, str(path), layout)


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], where: str) -> LoadReport:
    """Load a state dict into a network, in place; every name and shape must match.

    Args:
        model: the network.
        state: names to tensors.
        where: where the state dict came from, for the error.

    Raises:
        CheckpointError: it does not fit. Nothing of the network was changed.
    """
    return _load(model, dict(state), LoadReport(Path(where).name), where, None)


def _load(
    model: nn.Module, theirs: dict[str, Tensor], report: LoadReport, where: str, layout: Layout | None
) -> LoadReport:
    ours: Any = model.state_dict()
    counters = {key for key in ours if key not in theirs and _is_counter(model, key)}
    if counters:
        theirs = theirs | {key: torch.zeros_like(ours[key]) for key in counters}
        report.renamed.append("counters of BatchNorm, which files of before torch 0.4.1 lack, begin at 0")
    skipped = set(report.replaced)
    report.missing = [key for key in ours if key not in theirs and key not in skipped]
    report.unexpected = [key for key in theirs if key not in ours]
    shapes = {key: (tuple(theirs[key].shape), tuple(ours[key].shape)) for key in theirs if key in ours}
    report.mismatched = [(key, *pair) for key, pair in shapes.items() if pair[0] != pair[1]]
    if not report.fits:
        raise _does_not_fit(report, where, layout)
    state: Any = OrderedDict(theirs)
    state._metadata = ours._metadata  # the modules' versions: some (MNASNet) load nothing without them
    model.load_state_dict(state, strict=False)
    report.loaded = list(theirs)
    return report


def _is_counter(model: nn.Module, key: str) -> bool:
    """Whether it counts the batches of a BatchNorm: torch loads states without it."""
    holder, _, name = key.rpartition(".")
    return name == "num_batches_tracked" and isinstance(model.get_submodule(holder), _NormBase)


def _refuse_gaps(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Some published files have no values in the head, and a diverged training leaves none anywhere."""
    gaps = [key for key, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if gaps:
        what = f"{len(gaps)} tensors hold NaN or infinity: {_first(gaps)}"
        raise CheckpointError(what, where=str(path), fix="other weights")


def _rename(
    theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], layout: Layout | None, report: LoadReport
) -> dict[str, Tensor]:
    """Take wrappers' prefixes off, and bring old names of published files up to date."""
    found = dict(theirs)
    while prefix := next((held for held in PREFIXES if _is_wrapped(found, ours, held)), None):
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
        report.renamed.append(f"'{prefix}' taken off")
    for pattern, replacement in layout.renames if layout else ():
        renamed = {re.sub(pattern, replacement, key): tensor for key, tensor in found.items()}
        if renamed.keys() != found.keys():
            report.renamed.append(f"'{pattern}' to '{replacement}'")
        found = renamed
    return found


def _is_wrapped(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in theirs) and not any(key.startswith(prefix) for key in ours)


def _drop_aux(theirs: dict[str, Tensor], layout: Layout, report: LoadReport) -> dict[str, Tensor]:
    prefixes = tuple(f"{path}." for path in layout.aux)
    report.dropped = [key for key in theirs if prefixes and key.startswith(prefixes)]
    return {key: tensor for key, tensor in theirs.items() if key not in report.dropped}


def _resize_positions(model: nn.Module, theirs: dict[str, Tensor], report: LoadReport) -> dict[str, Tensor]:
    """Interpolate a Vision Transformer's position embedding to the number of patches that it has now."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    key = "encoder.pos_embedding"
    if not isinstance(model, VisionTransformer) or key not in theirs:
        return theirs
    old, new = theirs[key], model.encoder.pos_embedding
    if old.shape == new.shape or old.dim() != 3 or old.shape[2] != new.shape[2] or not _is_square(old.shape[1] - 1):
        return theirs
    report.adapted.append((key, tuple(old.shape), tuple(new.shape)))
    return dict(interpolate_embeddings(model.image_size, model.patch_size, dict(theirs)))


def _is_square(count: int) -> bool:
    return count > 0 and int(count**0.5 + 0.5) ** 2 == count


def _adapt_stem(
    theirs: dict[str, Tensor], ours: Mapping[str, Tensor], layout: Layout, new_stem: bool, report: LoadReport
) -> dict[str, Tensor]:
    key = f"{layout.stem}.weight"
    if key not in theirs or theirs[key].shape == ours[key].shape or theirs[key].dim() != 4:
        return theirs
    old, new = tuple(theirs[key].shape), tuple(ours[key].shape)
    if new_stem and old[0] == new[0] and old[2:] != new[2:]:
        return _skip(theirs, ours, f"{layout.stem}.", report)
    if old[0] == new[0] and old[2:] == new[2:]:
        report.adapted.append((key, old, new))
        return {**theirs, key: adapt_kernel(theirs[key], new[1])}
    return theirs


def _skip(theirs: dict[str, Tensor], ours: Mapping[str, Tensor], prefix: str, report: LoadReport) -> dict[str, Tensor]:
    """Leave out everything below a path, unless all of it fits."""
    keys = [key for key in ours if key.startswith(prefix)]
    if all(key in theirs and theirs[key].shape == ours[key].shape for key in keys):
        return theirs
    report.replaced += keys
    return {key: tensor for key, tensor in theirs.items() if not key.startswith(prefix)}


def _does_not_fit(report: LoadReport, where: str, layout: Layout | None) -> CheckpointError:
    fix = "build the network that the file was saved from"
    head = f"{layout.head}." if layout else None
    wrong = [(key, theirs[0]) for key, theirs, _ in report.mismatched if theirs]
    if head and wrong and all(key.startswith(head) for key, _ in wrong) and not report.missing:
        fix = f"num_classes={wrong[0][1]}, as in the file, or any other number for a new head"
    elif layout and [key for key, _ in wrong] == [f"{layout.stem}.weight"]:
        fix = "stem=small, or stem=standard: the file's first kernel is of another size"
    return CheckpointError(f"the weights do not fit: {report.faults()}", where=where, fix=fix)
