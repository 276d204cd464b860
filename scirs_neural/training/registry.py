"""The table of callbacks. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import Registry

CALLBACKS = Registry("callback")

_LIGHTNING = "lightning.pytorch.callbacks"
_CALLBACKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "early_stopping": (
        "EarlyStopping",
        "stop when a metric no longer improves",
        {"monitor": "val/loss", "mode": "min", "patience": 3, "min_delta": 0.0, "stopping_threshold": None}
        | {"divergence_threshold": None, "check_finite": True, "strict": True},
    ),
    "ema": (
        "EMAWeightAveraging",
        "evaluate and keep an exponential moving average of the weights",
        {"decay": 0.999, "use_buffers": True, "update_every_n_steps": 1}
        | {"update_starting_at_step": None, "update_starting_at_epoch": None},
    ),
    "timer": ("Timer", "stop after a time span, DD:HH:MM:SS", {"duration": None, "interval": "step"}),
    "device_stats": ("DeviceStatsMonitor", "log memory and utilisation of the device", {"cpu_stats": None}),
}
for _name, (_target, _summary, _options) in _CALLBACKS.items():
    CALLBACKS.add(_name, f"{_LIGHTNING}:{_target}", summary=_summary, options=_options)
