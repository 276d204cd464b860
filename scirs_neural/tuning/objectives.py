"""What a search is to reach: a figure of the validation set, or what the network costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.suggestions import did_you_mean

COSTS = ("num_params", "macs", "train_sec")


@dataclass(frozen=True)
class Objective:
    """One figure, and whether it is to be small or large.

    Args:
        name: ``val/…`` as in ``metrics.csv``, or one of `COSTS`.
        mode: "min" or "max".
    """

    name: str
    mode: str

    def value(self, summary: Mapping[str, Any]) -> float:
        """The figure of a run, of its best epoch, from its summary.

        Raises:
            ConfigError: the run does not have it.
        """
        if self.name in COSTS:
            found = summary["timing"].get(self.name) if self.name == "train_sec" else summary["model"].get(self.name)
        else:
            found = summary["val"].get(self.name.removeprefix("val/"))
        if found is None:
            raise ConfigError(f"the run has no figure '{self.name}'", fix="choose another objective")
        return float(found)


def parse_objectives(texts: Sequence[str], main: tuple[str, str], metrics: Mapping[str, str]) -> list[Objective]:
    """The objectives that were asked for; the task's main metric if there are none.

    Args:
        texts: ``val/accuracy``, or with its direction, ``num_params:min``.
        main: the task's main metric and its direction.
        metrics: the figures that validation gives, each with its own direction.

    Raises:
        UnknownNameError: a figure that no run will have.
        ConfigError: a direction is neither min nor max.

    Example:
        >>> metrics = {"val/accuracy": "max", "val/loss": "min"}
        >>> parse_objectives(["val/accuracy", "num_params"], ("val/accuracy", "max"), metrics)
        [Objective(name='val/accuracy', mode='max'), Objective(name='num_params', mode='min')]
    """
    known = {**metrics, **dict.fromkeys(COSTS, "min")}
    found = []
    for text in texts or [":".join(main)]:
        name, _, mode = text.partition(":")
        if name not in known:
            raise UnknownNameError(
                f"unknown objective '{name}'", where="tune.objectives", suggestions=did_you_mean(name, known),
                fix=f"one of {', '.join(known)}",
            )  # fmt: skip
        if mode not in ("", "min", "max"):
            raise ConfigError(f"an objective is to be min or max, not '{mode}'", where="tune.objectives")
        found.append(Objective(name, mode or known[name]))
    return found
