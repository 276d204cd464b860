"""``best.ckpt``: the weights of the epochs that rank highest."""

from __future__ import annotations

import lightning.pytorch as L
from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, for a ranking of whole epochs: it has nothing to do, and does nothing, after a batch."""

    on_train_batch_end = L.Callback.on_train_batch_end

    @property
    def state_key(self) -> str:
        """That of Lightning's class, under which checkpoints hold the ranking."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)
