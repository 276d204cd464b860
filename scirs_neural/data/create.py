"""Data by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scirs_neural.core.errors import ConfigError, ManyErrors
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.signatures import signature_options
from scirs_neural.data.module import DataModule
from scirs_neural.data.registry import DATA, FIELDS
from scirs_neural.data.source import DataSource


def create_data(name: str, **settings: Any) -> DataModule:
    """Make the data module of a named dataset.

    Args:
        name: a name of the registry `DATA`, or ``file.py:function`` as a user typed it.
        **settings: the dataset's own options, such as ``root``; those of its kinds of fields, such as ``image_size``;
            and those of `DataModule`, such as ``batch_size``.

    Raises:
        UnknownNameError: no such dataset.
        ConfigError: no such option, or one is missing.
        DataError: the data is not usable.
        OfflineError: it would have to be downloaded.

    Example:
        >>> len(create_data("digits").spec.target["classes"])
        10
    """
    entry = DATA.typed(name)
    loading = {*signature_options(DataModule), *(key for kind in FIELDS for key in FIELDS.get(kind).settings_used)}
    own = {key: settings.pop(key) for key in list(settings) if key in entry.options or key not in loading}
    given = {key: value for key, value in own.items() if value is not None or entry.options.get(key) is not REQUIRED}
    if faults := entry.faults(given, types=False, also=sorted(loading)):
        raise faults[0] if len(faults) == 1 else ManyErrors(faults)
    return data_module(entry.load()(**given), settings)


def data_module(made: Any, settings: Mapping[str, Any]) -> DataModule:
    """What a builder of data gave, as a data module.

    Args:
        made: a `DataSource`, a `DataModule`, a torch dataset, or ``(x, y)``: pictures (N, H, W) or more axes, texts, or
            the rows of a table, as an array (N, C), a frame, or dicts.
        settings: of `DataModule`.

    Raises:
        ConfigError: it is something else.
    """
    from torch.utils.data import Dataset

    from scirs_neural.data.in_memory import from_datasets

    if isinstance(made, DataModule):
        return made
    if isinstance(made, DataSource):
        return DataModule(made, **settings)
    if isinstance(made, Dataset):
        return from_datasets(made, **settings)
    if isinstance(made, tuple | list) and len(made) == 2 and not isinstance(made[0], Dataset):
        return _of_pair(made[0])(*made, **settings)
    raise ConfigError(
        f"data is a {type(made).__name__}, not a name or data",
        fix="a LightningDataModule goes with a LightningModule: task=…, or sn.Trainer().fit(module, data)"
        if hasattr(made, "train_dataloader")
        else "a name, (x, y), a torch dataset, or what sn.data.from_arrays or from_datasets makes",
    )


def _of_pair(x: Any) -> Callable[..., DataModule]:
    """What takes samples like these, with their targets."""
    from scirs_neural.data.in_memory import from_arrays
    from scirs_neural.data.table.table import from_table
    from scirs_neural.data.text.source import from_texts

    if isinstance(x, list | tuple) and x and all(isinstance(each, str) for each in x):
        return from_texts
    is_table = hasattr(x, "columns") or isinstance(x, Mapping | str) or getattr(x, "ndim", 0) == 2
    if isinstance(x, list | tuple) and x:
        row = x[0]
        is_table = isinstance(row, Mapping) or (isinstance(row, list | tuple) and not hasattr(row[0], "__len__"))
        is_table = is_table or getattr(row, "ndim", 0) == 1
    return from_table if is_table else from_arrays
