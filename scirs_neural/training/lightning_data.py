"""This package's data as Lightning takes it."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from scirs_neural.data.module import DataModule


class LightningData(L.LightningDataModule):
    """The loaders of a data module.

    Args:
        data: whose loaders they are.
    """

    def __init__(self, data: DataModule) -> None:
        super().__init__()
        self.data = data

    @property
    def batch_size(self) -> int:
        """Samples a step and process; Lightning's batch size finder sets it."""
        return self.data.batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        self.data.batch_size = batch_size

    def train_dataloader(self) -> Any:
        """Shuffled, augmented batches."""
        return self.data.train_dataloader()

    def val_dataloader(self) -> Any:
        """The validation samples in order."""
        return self.data.val_dataloader()

    def test_dataloader(self) -> Any:
        """The test samples in order."""
        return self.data.test_dataloader()

    def teardown(self, stage: str) -> None:
        """Say what was skipped in passes that were broken off."""
        self.data.report()


def lightning_data(data: Any) -> Any:
    """A LightningDataModule of any data: a user's own is taken as it is."""
    return LightningData(data) if isinstance(data, DataModule) else data
