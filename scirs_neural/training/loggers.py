"""Loggers by name: where metrics go while a run trains, beside ``metrics.csv``, which always is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import ConfigError, refusals
from scirs_neural.core.importing import resolve
from scirs_neural.training.registry import LOGGERS

if TYPE_CHECKING:
    from lightning.pytorch.loggers.logger import Logger

_RUN_NAME = {"mlflow": "run_name", "wandb": "name"}  # what they call the name of a run, which is that of its folder


def check_loggers(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse loggers that cannot be made here.

    Args:
        settings: by registry name, each with its options; one of the user's has the ``name`` ``file.py:Class``.

    Raises:
        ConfigError: a package is not installed, or a file of the user's has no such class.
    """
    for key, options in settings.items():
        name = str(options.get("name", key))
        if ":" in name:
            resolve(name, where=f"logger.{key}.name")
        elif (package := LOGGERS.entry(name).traits.get("package")) and find_spec(package) is None:
            what = f"the logger '{name}' needs the package '{package}', which is not installed"
            raise ConfigError(what, where=f"logger.{key}", fix=f"pip install {package.replace('_', '-')}")


def create_loggers(settings: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Logger]:
    """Lightning loggers.

    Args:
        settings: by registry name, each with its options; one of the user's has the ``name`` ``file.py:Class``.
        folder: of the run: the ``save_dir`` of each that takes one.

    Raises:
        ConfigError: one cannot be made, or refuses its options.
    """
    check_loggers(settings)
    made: list[Logger] = []
    for key, options in settings.items():
        name = str(options.get("name", key))
        kind = resolve(name) if ":" in name else LOGGERS.get(name)
        given = {option: value for option, value in options.items() if option != "name" or ":" not in name}
        if name == "tensorboard":  # its options are those of `TensorBoardExtras`
            given = {"name": "", "version": "tensorboard", "default_hp_metric": False}
        elif name == "csv":
            given |= {"name": "", "version": _free(folder, "csv")}
        elif name in _RUN_NAME:
            given[_RUN_NAME[name]] = f"{folder.parent.name}/{folder.name}"
        if "save_dir" in signature(kind).parameters:
            given.setdefault("save_dir", str(folder))
        with refusals(f"the logger '{key}'", f"logger.{key}"):
            made.append(kind(**given))
    return made


def _free(folder: Path, name: str) -> str:
    """A folder that is not there: a resumed run begins another file, as Lightning would remove the first one."""
    number = 1
    while (folder / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return name if number == 1 else f"{name}-{number}"
