"""What Lightning is fed with: the loaders of any data, grouped into optimizer steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import lightning.pytorch as L


class Groups:
    """A loader's batches in groups, one an optimizer step; the last may be smaller.

    A group is whole before its first backward pass, so it is known what each of its batches counts.

    Args:
        loader: gives batches; what it can of state and epochs goes through.
        size: batches a group.
        limit: batches an epoch at most: a number, or a part of all; None: all.

    Example:
        >>> list(Groups([1, 2, 3, 4, 5], 2, limit=3))
        [[1, 2], [3]]
    """

    def __init__(self, loader: Any, size: int, limit: int | float | None = None) -> None:
        self.loader, self.size, self.limit = loader, size, limit

    @property
    def num_batches(self) -> int:
        """Batches an epoch."""
        count = len(self.loader)
        if self.limit is None:
            return count
        return min(count, self.limit) if isinstance(self.limit, int) else int(count * self.limit)

    def __len__(self) -> int:
        return -(-self.num_batches // self.size)

    def __iter__(self) -> Iterator[list[Any]]:
        place = getattr(self.loader, "sampler", None)
        left = self.num_batches - getattr(place, "start", 0)
        batches = iter(self.loader)
        while left > 0 and (group := list(islice(batches, min(self.size, left)))):
            left -= len(group)
            yield group

    def __getattr__(self, name: str) -> Any:
        """The loader's own: its sampler, its dataset."""
        if name == "loader":
            raise AttributeError(name)
        return getattr(self.loader, name)


class ResumableGroups(Groups):
    """Groups of a loader whose place is part of a checkpoint: at a step boundary, it is that of the groups too."""

    def state_dict(self) -> dict[str, Any]:
        """The loader's."""
        state: dict[str, Any] = self.loader.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The loader's."""
        self.loader.load_state_dict(state)


def grouped(loader: Any, size: int, limit: int | float | None = None) -> Any:
    """A loader whose batches come in groups, one an optimizer step; the loader itself where those are of one batch."""
    if size == 1:
        return loader
    is_resumable = hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
    return (ResumableGroups if is_resumable else Groups)(loader, size, limit)


class Feed(L.LightningDataModule):
    """Data as Lightning takes it.

    Args:
        data: with ``train_dataloader`` and ``val_dataloader``, and perhaps more of a LightningDataModule.
        accumulate: batches an optimizer step.
        limit: training batches an epoch.
    """

    def __init__(self, data: Any, accumulate: int = 1, limit: int | float | None = None) -> None:
        super().__init__()
        self.data, self.accumulate, self.limit = data, accumulate, limit

    @property
    def batch_size(self) -> Any:
        """The data's own."""
        return self.data.batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        self.data.batch_size = value

    def prepare_data(self) -> None:
        """Let the data prepare itself, if it has to."""
        self._call("prepare_data")

    def setup(self, stage: str) -> None:
        """Let the data set itself up, if it has to."""
        self._call("setup", stage)

    def teardown(self, stage: str) -> None:
        """Let the data end what it began."""
        self._call("teardown", stage)
        self._call("report")

    def train_dataloader(self) -> Any:
        """Batches, or groups of them."""
        return grouped(self.data.train_dataloader(), self.accumulate, self.limit)

    def val_dataloader(self) -> Any:
        """The data's own; an empty list if it has none."""
        return self._loader("val_dataloader")

    def test_dataloader(self) -> Any:
        """The data's own; an empty list if it has none."""
        return self._loader("test_dataloader")

    def _loader(self, name: str) -> Any:
        own = getattr(type(self.data), name, None)
        return [] if own in (None, getattr(L.LightningDataModule, name)) else getattr(self.data, name)()

    def _call(self, name: str, *args: Any) -> None:
        hook = getattr(self.data, name, None)
        if hook is not None:
            hook(*args)
