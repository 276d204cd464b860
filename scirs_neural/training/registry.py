"""The tables of callbacks and loggers. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import Registry

CALLBACKS = Registry("callback")

_LIGHTNING = "lightning.pytorch.callbacks"
_CALLBACKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "early_stopping": (
        "EarlyStopping",
        "stop when a metric no longer improves",
        {"monitor": "val/loss", "mode": "auto", "patience": 3, "min_delta": 0.0, "stopping_threshold": None}
        | {"divergence_threshold": None, "check_finite": True, "strict": False},
    ),
    "timer": ("Timer", "stop after a time span, DD:HH:MM:SS", {"duration": None, "interval": "step"}),
    "device_stats": ("DeviceStatsMonitor", "log memory and utilisation of the device", {"cpu_stats": None}),
}
for _name, (_target, _summary, _options) in _CALLBACKS.items():
    CALLBACKS.add(_name, f"{_LIGHTNING}:{_target}", summary=_summary, options=_options)

LOGGERS = Registry("logger")

_MLFLOW = {"experiment_name": "scirs_neural", "tracking_uri": None, "tags": None, "run_id": None}
_WANDB = {"project": "scirs_neural", "id": None, "offline": False, "log_model": False}
_COMET = {"project": "scirs_neural", "workspace": None, "experiment_key": None, "online": None}
_LOGGERS: dict[str, tuple[str, str, dict[str, Any], str | None]] = {  # class, summary, options, a package of its own
    "tensorboard": (
        "TensorBoardLogger",
        "event files in RUN/tensorboard: metrics, the input as the network sees it, histograms, the graph",
        {"histograms": False, "images": True, "graph": False},
        None,
    ),
    "csv": ("CSVLogger", "every logged step in RUN/csv/metrics.csv", {"flush_logs_every_n_steps": 100}, None),
    "mlflow": ("MLFlowLogger", "an MLflow server, or files in RUN/mlruns", _MLFLOW, "mlflow"),
    "wandb": ("WandbLogger", "Weights & Biases", _WANDB, "wandb"),
    "comet": ("CometLogger", "Comet", _COMET, "comet_ml"),
}
for _name, (_class, _summary, _options, _package) in _LOGGERS.items():
    _traits = {"package": _package} if _package else {}
    LOGGERS.add(_name, f"lightning.pytorch.loggers:{_class}", summary=_summary, options=_options, traits=_traits)
