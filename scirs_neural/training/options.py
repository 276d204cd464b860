"""Lightning's options that need more than being passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import ConfigError, NonFiniteError

if TYPE_CHECKING:
    from lightning.pytorch.profilers import Profiler


def make_profiler(name: str | None, folder: Path | None) -> Profiler | None:
    """Lightning's profiler, which writes into a run folder.

    Raises:
        ConfigError: there is no folder.
    """
    if name is None:
        return None
    if folder is None:
        raise ConfigError(f"trainer.profiler={name} writes into a folder", fix="Trainer(folder=…)")
    from lightning.pytorch import profilers

    kinds = {"simple": "SimpleProfiler", "advanced": "AdvancedProfiler", "pytorch": "PyTorchProfiler"}
    made: Profiler = getattr(profilers, kinds[name])(dirpath=folder / "profile", filename=name)
    return made


def anomaly_error(error: RuntimeError, warned: Iterable[str]) -> NonFiniteError | None:
    """What autograd's anomaly detection found, with the line of the user's that made the operation.

    Args:
        error: raised in the backward pass.
        warned: warnings before it, each on one line: one holds the stack of the forward pass.
    """
    found = re.match(r"Function '(\w+)' returned nan values", str(error))
    if found is None:
        return None
    stack = next((text for text in warned if text.startswith(f"Error detected in {found[1]}")), "")
    lines = [line for line in _STACK_LINE.findall(stack) if not _LIBRARY.search(line)]
    where = lines[-1].replace('"', "").removeprefix("File ") if lines else "trainer.detect_anomaly"
    return NonFiniteError(f"{found[1]} made a gradient that is NaN", where=where)


_STACK_LINE = re.compile(r'File "[^"]+", line \d+, in \w+')
_LIBRARY = re.compile(r"/(torch|lightning|scirs_neural/(training|tasks|losses))/")


def first_batches(loader: Any, limit: int | float | None) -> Iterable[Any]:
    """A loader's first batches: a number, or a fraction of all; None: all.

    Example:
        >>> list(first_batches([1, 2, 3, 4], 3)), list(first_batches([1, 2, 3, 4], 0.5))
        ([1, 2, 3], [1, 2])
    """
    if limit is None:
        return iter(loader)
    return islice(loader, limit if isinstance(limit, int) else int(len(loader) * limit))


class FirstBatches:
    """Data whose training and validation batches are the same: the training samples in order, without augmentation.

    Args:
        data: with an ``eval_dataloader``, as that of `scirs_neural.create_data`.

    Raises:
        ConfigError: it has none.
    """

    def __init__(self, data: Any) -> None:
        if not hasattr(data, "eval_dataloader"):
            raise ConfigError(
                f"trainer.overfit_batches needs the training samples in order, and {type(data).__name__} has no "
                "eval_dataloader", fix="limit_train_batches, and a loader without shuffling",
            )  # fmt: skip
        self.data = data

    def train_dataloader(self) -> Any:
        """The training samples in order."""
        return self.data.eval_dataloader("train")

    def val_dataloader(self) -> Any:
        """The same."""
        return self.data.eval_dataloader("train")

    def __getattr__(self, name: str) -> Any:
        """The data's own: its pipeline, its spec."""
        if name == "data":
            raise AttributeError(name)
        return getattr(self.data, name)
