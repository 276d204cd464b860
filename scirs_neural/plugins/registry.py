"""Plugins by name. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import Registry

PLUGINS = Registry("plugin")

_AVERAGES = "scirs_neural.plugins.averages"
PLUGINS.add(
    "ema",
    f"{_AVERAGES}:EMA",
    summary="validate and keep an exponential moving average of the weights",
    options={"decay": 0.999, "every_n_steps": 1, "warmup": True},
    traits={"averages": True},
)
PLUGINS.add(
    "swa",
    f"{_AVERAGES}:SWA",
    summary="keep the mean of the weights at the ends of the last epochs",
    options={"start": 1},
    traits={"averages": True},
)
