"""Floor 1: optimizers and learning-rate schedules by name, and the parameter groups that they work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scirs_neural.core.registry import Registry

if TYPE_CHECKING:
    from scirs_neural.optim.build import build_optimizer as build_optimizer
    from scirs_neural.optim.groups import ParameterGroup as ParameterGroup
    from scirs_neural.optim.groups import parameter_groups as parameter_groups

OPTIMIZERS = Registry("optimizer")
SCHEDULERS = Registry("scheduler")

# torch.optim's own classes under torch's argument names. `lr` and `weight_decay` are settings of every optimizer and
# stand in the schema; `capturable` and `differentiable` are for code that drives the optimizer itself.
# tests/optim/test_registry.py holds all of it against torch's signatures.
_IMPLEMENTATION: dict[str, Any] = {"foreach": None, "maximize": False}
_BETAS: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8}
_TORCH_OPTIMIZERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adadelta": ("Adadelta", "adaptive steps without a global rate", {"rho": 0.9, "eps": 1e-6}),
    "adafactor": ("Adafactor", "factored second moments: little memory",
                  {"beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0}),
    "adagrad": ("Adagrad", "rates fall with the sum of squared gradients",
                {"lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10, "fused": None}),
    "adam": ("Adam", "moments with bias correction",
             {**_BETAS, "amsgrad": False, "decoupled_weight_decay": False, "fused": None}),
    "adamax": ("Adamax", "Adam on the infinity norm", _BETAS),
    "adamw": ("AdamW", "Adam with decoupled weight decay", {**_BETAS, "amsgrad": False, "fused": None}),
    "asgd": ("ASGD", "averaged stochastic gradient descent", {"lambd": 1e-4, "alpha": 0.75, "t0": 1e6}),
    "nadam": ("NAdam", "Adam with Nesterov momentum",
              {**_BETAS, "momentum_decay": 4e-3, "decoupled_weight_decay": False}),
    "radam": ("RAdam", "Adam with a rectified warm-up", {**_BETAS, "decoupled_weight_decay": False}),
    "rmsprop": ("RMSprop", "moving average of squares",
                {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False}),
    "rprop": ("Rprop", "steps by sign; for full batches", {"etas": (0.5, 1.2), "step_sizes": (1e-6, 50)}),
    "sgd": ("SGD", "stochastic gradient descent",
            {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "fused": None}),
}  # fmt: skip
for _name, (_class, _summary, _options) in _TORCH_OPTIMIZERS.items():
    OPTIMIZERS.add(_name, f"torch.optim:{_class}", summary=_summary, options=_options | _IMPLEMENTATION)

_SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("the peak rate throughout, after the warm-up", {}),
    "linear": ("down to end_factor of the peak in a line", {"end_factor": 0.0}),
    "cosine": ("down to end_factor of the peak in half a cosine (Loshchilov 2017)", {"end_factor": 0.0}),
    "polynomial": ("down to 0 by a power of what is left", {"power": 2.0}),
    "step": ("times gamma every step_size epochs", {"step_size": 30, "gamma": 0.1}),
    "multi_step": ("times gamma at each of the milestones (epochs)", {"milestones": (30, 60, 80), "gamma": 0.1}),
    "exponential": ("times gamma every epoch", {"gamma": 0.95}),
    "one_cycle": ("up to the peak and down again in cosines (Smith 2018); warmup is the share that goes up",
                  {"div_factor": 25.0, "final_div_factor": 1e4}),
    "plateau": ("times factor when the monitored metric has not improved for patience epochs",
                {"factor": 0.1, "patience": 3, "monitor": "val/loss", "mode": "min"}),
}  # fmt: skip
for _name, (_summary, _options) in _SCHEDULES.items():
    SCHEDULERS.add(_name, f"scirs_neural.optim.schedules:{_name}", summary=_summary, options=_options)

_PUBLIC = {
    "build_optimizer": "scirs_neural.optim.build",
    "parameter_groups": "scirs_neural.optim.groups",
    "ParameterGroup": "scirs_neural.optim.groups",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
