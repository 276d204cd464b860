"""``best.ckpt``: the weights of the epochs that rank highest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

_OURS = re.compile(r"best(-\d+)?\.ckpt")


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, for a ranking of whole epochs: it has nothing to do, and does nothing, after a batch."""

    on_train_batch_end = L.Callback.on_train_batch_end

    @property
    def state_key(self) -> str:
        """That of Lightning's class, under which checkpoints hold the ranking."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Whether an epoch is among the best so far; never if its figure is no finite number, or a plugin objects."""
        ranks = super().check_monitor_top_k(trainer, current)  # asked on every rank alike
        may_rank = getattr(trainer.lightning_module, "may_rank", True)
        return ranks and may_rank and current is not None and bool(torch.isfinite(current))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a ranking: the scores of those of its files that lie in this run's own folder.

        Lightning believes the paths too, and removes what they name when something ranks higher.
        """
        assert self.dirpath is not None
        kept = state_dict.get("best_k_models")
        for path, score in kept.items() if isinstance(kept, Mapping) else ():
            file = Path(self.dirpath) / Path(str(path)).name
            is_there = file.is_file() and not file.is_symlink() and _OURS.fullmatch(file.name)
            if is_there and isinstance(score, Tensor) and score.numel() == 1:
                self.best_k_models[str(file)] = score
        best, worst = (max, min) if self.mode == "max" else (min, max)
        scores = {path: float(score) for path, score in self.best_k_models.items()}
        while len(scores) > self.save_top_k:
            path = worst(scores, key=scores.__getitem__)
            del scores[path], self.best_k_models[path]
        if scores:
            self.best_model_path = best(scores, key=scores.__getitem__)
            self.best_model_score = self.best_k_models[self.best_model_path]
        if len(scores) == self.save_top_k:
            self.kth_best_model_path = worst(scores, key=scores.__getitem__)
            self.kth_value = self.best_k_models[self.kth_best_model_path]
