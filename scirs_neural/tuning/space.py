"""What is searched: settings with several values, or with a range, as they are typed on the command line.

    optimizer.lr=1e-4..1e-1:log     between two numbers, even on a logarithmic scale
    model.width=8..64/8             between two whole numbers, in steps
    optimizer=adamw,sgd             one of several, as in a sweep with ``train -m``

A file for ``--space`` says the same: a YAML mapping of settings to such texts, or to lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

from scirs_neural.config.compose import vary
from scirs_neural.config.overrides import alternatives, as_override
from scirs_neural.config.schema import RunConfig
from scirs_neural.core.errors import CheckpointError, ConfigError, ScirsError, StorageError, raise_all
from scirs_neural.guard.text import read_yaml
from scirs_neural.runs.groups import config_groups

_RANGE = re.compile(
    r"(?P<low>[-+]?[\d.]+?(?:e[-+]?\d+)?)\.\.(?P<high>[-+]?[\d.]+(?:e[-+]?\d+)?)(?:/(?P<step>[^:]+))?(?::(?P<scale>.*))?"
)
_WHOLE = re.compile(r"[-+]?\d+")
_MOST_CHECKED = 100  # combinations of parts chosen by name that are composed before the first trial
Compose = Callable[[Sequence[str]], RunConfig]


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched.

    Args:
        key: the setting.
        text: its values as typed.
        choices: values in Hydra's grammar; empty for a range.
        low: of a range.
        high: of a range, which belongs to it.
        step: between the values of a range; None of a range of fractions: any.
        log: whether equal ratios count as equal distances.
    """

    key: str
    text: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether a range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: Any) -> str:
        """The value that Optuna's trial takes, in Hydra's grammar."""
        if self.choices:
            return str(trial.suggest_categorical(self.key, list(self.choices)))
        if self.is_whole:
            step = 1 if self.step is None else int(self.step)
            return repr(trial.suggest_int(self.key, self.low, self.high, log=self.log, step=step))
        return repr(trial.suggest_float(self.key, self.low, self.high, log=self.log, step=self.step))

    def grid(self) -> list[Any]:
        """Every value, as Optuna keeps it.

        Raises:
            ConfigError: a range of fractions without steps has no end of them.
        """
        if self.choices:
            return list(self.choices)
        if self.log or (not self.is_whole and self.step is None):
            raise ConfigError(
                f"a grid needs every value of {self.key}, not {self.text}", fix=f"{self.key}=a,b,c or low..high/step"
            )
        step = 1 if self.step is None else self.step
        count = int((self.high - self.low) / step + 1e-9) + 1
        return [self.low + index * step for index in range(count)]

    def ends(self) -> list[str]:
        """The values that are composed and checked before the first trial."""
        return list(self.choices) or [repr(self.low), repr(self.high)]


def split_overrides(texts: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """What is searched, and what is fixed, among overrides as typed.

    Raises:
        ConfigError: a range that cannot be read, or is empty.

    Example:
        >>> searched, fixed = split_overrides(["model=cnn", "optimizer.lr=1e-3..1e-1:log", "model.depth=1,2"])
        >>> [(d.key, d.low, d.high, d.log, d.choices) for d in searched], fixed
        ([('optimizer.lr', 0.001, 0.1, True, ()), ('model.depth', 0, 0, False, ('1', '2'))], ['model=cnn'])
    """
    searched, fixed = [], []
    for text in texts:
        key, equals, value = text.lstrip("+").partition("=")
        if equals and ".." in value and value[:1] not in ("'", '"', "[", "{", ".", "/", "~"):
            searched.append(_range(key, value, f"command line, {text}"))
        elif len(options := alternatives(text)) > 1:
            values = tuple(option.partition("=")[2] for option in options)
            searched.append(Dimension(key, value, values))
        else:
            fixed.append(text)
    return searched, fixed


def parse_space(path: Path) -> list[Dimension]:
    """The settings that a file searches.

    Raises:
        ConfigError: it cannot be read, or a value is neither a list nor a range.
    """
    try:
        tree = read_yaml(path)
    except (CheckpointError, StorageError) as error:
        raise ConfigError(f"cannot read the search space: {error.what}", where=error.where or str(path)) from error
    if not isinstance(tree, Mapping) or not tree:
        raise ConfigError("a search space is a YAML mapping: setting to list or range", where=str(path))
    found = []
    for key, value in tree.items():
        if isinstance(value, list) and len(value) > 1:
            texts = tuple(as_override("", item).removeprefix("=") for item in value)
            found.append(Dimension(str(key), ",".join(texts), texts))
        elif isinstance(value, str) and ".." in value:
            found.append(_range(str(key), value, str(path)))
        else:
            fix = "a list of two or more values, or low..high, low..high:log, low..high/step"
            raise ConfigError(f"{key}: {value!r} is no range and no list", where=str(path), fix=fix)
    return found


def _range(key: str, value: str, where: str) -> Dimension:
    fix = "low..high, low..high:log or low..high/step, such as 1e-4..1e-1:log"
    match = _RANGE.fullmatch(value.replace(" ", "").lower())
    if match is None or match["scale"] not in (None, "log"):
        raise ConfigError(f"cannot read the range {value!r} of {key}", where=where, fix=fix)
    try:
        low, high = _number(match["low"]), _number(match["high"])
        step = None if match["step"] is None else _number(match["step"])
    except ValueError as error:
        raise ConfigError(f"cannot read the range {value!r} of {key}: {error}", where=where, fix=fix) from error
    log = match["scale"] == "log"
    if not low < high:
        raise ConfigError(f"the range {value!r} of {key} is empty: {low} is not below {high}", where=where)
    if log and (low <= 0 or step is not None):
        what = "starts above 0" if low <= 0 else "has no steps"
        raise ConfigError(f"the range {value!r} of {key}: one on a logarithmic scale {what}", where=where)
    if step is not None and step <= 0:
        raise ConfigError(f"the range {value!r} of {key}: a step is above 0", where=where)
    if isinstance(step, float) or isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    return Dimension(key, value, (), low, high, step, log)


def _number(text: str) -> float:
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def check_space(searched: Sequence[Dimension], fixed: Sequence[str], compose: Compose) -> list[Dimension]:
    """Compose the ends of every range and every choice, and give whole ranges of settings for fractions their type.

    Args:
        searched: the dimensions.
        fixed: the other overrides.
        compose: from overrides to a checked configuration.

    Raises:
        ConfigError: everything that is wrong with any of them, and nothing is run.
    """
    keys = [dimension.key for dimension in searched]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    faults: list[ScirsError] = [ConfigError(f"{key} is searched twice", fix="name it once") for key in twice]
    if not searched:
        raise ConfigError(
            "nothing to search: every setting has one value", fix="optimizer.lr=1e-4..1e-1:log, model.width=8,16,32"
        )
    first = {dimension.key: dimension.ends()[0] for dimension in searched}
    parts = [d for d in searched if d.key in config_groups()]

    def tried(point: Mapping[str, str]) -> RunConfig | None:
        try:
            return compose([*fixed, *(f"{key}={value}" for key, value in point.items())])
        except ConfigError as error:
            faults.append(error)
            return None

    combined = islice(product(*(d.ends() for d in parts)), _MOST_CHECKED)
    made = [tried({**first, **dict(zip((d.key for d in parts), ends, strict=True))}) for ends in combined]
    if made[0] is not None:  # single settings can be changed in what was composed, which is quicker
        for text in (f"{d.key}={end}" for d in searched if d not in parts for end in d.ends()[1:]):
            try:
                vary(made[0], [text], config_groups())
            except ConfigError as error:
                faults.append(error)
    raise_all(faults)
    whole = [d.key for d in searched if d.is_whole and not d.choices]
    if not whole:
        return list(searched)
    shipped = compose([*fixed, *(f"{key}={value}" for key, value in first.items() if key not in whole)]).model_dump()
    return [_of_its_type(d, _at(shipped, d.key)) for d in searched]


def _of_its_type(dimension: Dimension, value: Any) -> Dimension:
    if isinstance(value, float) and dimension.is_whole and not dimension.choices:
        return replace(dimension, low=float(dimension.low), high=float(dimension.high))
    return dimension


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
