"""What other libraries print, kept from the terminal; what they warn of, collected and counted."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator

# Warnings that tell the user nothing that can be acted upon, each with the reason. Dated: 2026-11-22.
_HARMLESS = (
    r"isinstance\(treespec, LeafSpec\)",  # lightning 2.6.6 on torch >= 2.13, in its own code
    r"does not have many workers",  # whether workers pay is decided by the data module
    r"Total length of .* across ranks is zero",  # there is no validation split, and whoever left it out knows
    r"The number of training batches .* is smaller than the logging interval",  # epoch values are logged all the same
    r"`isinstance.*LeafSpec",
    r"You are using `torch.load` with `weights_only",
    r"Checkpoint directory .* exists and is not empty",  # a resumed run
    r"lr_scheduler.step\(\)` before `optimizer.step\(\)",  # fp16 skips the first step while it finds its scale
    r"The .* DataLoader .* does not implement",
    r"It is recommended to use `self.log\(.*sync_dist=True\)`",  # `EpochState` sums over ranks
    r"You have overridden `on_before_batch_transfer` in `LightningModule` but",  # `Feed` hands the batches through
    r"Use torch_xla\.(device|sync) instead",  # lightning 2.6.6's own calls
)


@contextlib.contextmanager
def quiet() -> Iterator[Counter[str]]:
    """Silence Lightning's information lines and adverts; count warnings instead of printing them."""
    warned: Counter[str] = Counter()
    names = ("lightning.pytorch", "lightning.fabric", "lightning", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # collected whatever the filters outside: they are shown at the end
            for pattern in _HARMLESS:
                warnings.filterwarnings("ignore", message=f".*{pattern}")
            warnings.showwarning = lambda message, category, *_, **__: warned.update([_one_line(message)])
            yield warned
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _one_line(message: object) -> str:
    return re.sub(r"\s+", " ", str(message)).strip()
