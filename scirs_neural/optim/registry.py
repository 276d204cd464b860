"""The tables of optimizers and schedules. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import Registry

OPTIMIZERS = Registry("optimizer", supplied=("lr", "weight_decay"), positional=1)  # the parameter groups
SCHEDULERS = Registry("scheduler", positional=2)  # the optimizer and the `Span`

# Torch's classes under torch's argument names. `lr` and `weight_decay` are settings of every optimizer and stand in the
# schema; `capturable` and `differentiable` are for code that drives the optimizer itself. tests/optim/test_registry.py
# holds all of it against the real signatures.
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

# What the trainer and `build_optimizer` must know of an optimizer before it is built. A class of the user's says the
# same in a class attribute `traits`.
#   needs_closure    it evaluates the loss more than once a step
#   no_weight_decay  it knows none
#   single_group     all parameters learn at one rate
#   no_clipping      it compares losses and gradients itself: clipped ones mislead it
#   flattens         it lays all gradients end to end, which tensors in channels_last order do not allow
#   averages         it trains at one point and is evaluated at the average of all, which replaces a schedule
_NO_DECAY = {"no_weight_decay": True}
for _name, (_class, _summary, _options) in _TORCH_OPTIMIZERS.items():
    _traits = _NO_DECAY if _name == "rprop" else {}
    OPTIMIZERS.add(_name, f"torch.optim:{_class}", summary=_summary, options=_options | _IMPLEMENTATION, traits=_traits)
OPTIMIZERS.add(
    "lbfgs", "torch.optim:LBFGS", summary="quasi-Newton with several evaluations a step; for large or full batches",
    options={"max_iter": 20, "max_eval": None, "tolerance_grad": 1e-7, "tolerance_change": 1e-9, "history_size": 100}
    | {"line_search_fn": None},
    traits={**_NO_DECAY, "needs_closure": True, "single_group": True, "no_clipping": True, "flattens": True},
)  # fmt: skip
OPTIMIZERS.add(
    "sparse_adam", "torch.optim:SparseAdam", summary="Adam for parameters with sparse gradients only",
    options=_BETAS | {"maximize": False}, traits=_NO_DECAY,
)  # fmt: skip
OPTIMIZERS.add(
    "muon", "scirs_neural.optim.muon:MuonAndAdamW",
    summary="orthogonalised momentum for hidden matrices, AdamW for all else (Jordan 2024)",
    options={"momentum": 0.95, "nesterov": True, "ns_steps": 5, "adjust_lr_fn": "match_rms_adamw"} | _BETAS,
)  # fmt: skip

_WRAPS: dict[str, Any] = {"base": "sgd", "base_options": {}}
OPTIMIZERS.add(
    "sam", "scirs_neural.optim.sharpness:sam", summary="wraps another: flat minima, two passes a step (Foret 2021)",
    options={**_WRAPS, "rho": 0.05}, traits={"needs_closure": True},
)  # fmt: skip
OPTIMIZERS.add(
    "asam", "scirs_neural.optim.sharpness:asam", summary="SAM in units of each weight's size (Kwon 2021)",
    options={**_WRAPS, "rho": 0.5}, traits={"needs_closure": True},
)  # fmt: skip

# Through well-kept packages, imported where one is used.
_PAST: dict[str, Any] = {"r": 0.0, "weight_lr_power": 2.0, "warmup_steps": 0}
_EXTRA_OPTIMIZERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "lion": ("pytorch_optimizer:Lion", "the sign of interpolated momentum (Chen 2023); a tenth of Adam's rate",
             {"betas": (0.9, 0.99), "weight_decouple": True, "fixed_decay": False}),
    "schedule_free_adamw": ("pytorch_optimizer:ScheduleFreeAdamW", "averaging in place of a schedule (Defazio 2024)",
                            {**_BETAS, **_PAST, "decoupling_c": 0, "ams_bound": False}),
    "schedule_free_sgd": ("pytorch_optimizer:ScheduleFreeSGD", "averaging in place of a schedule (Defazio 2024)",
                          {"momentum": 0.9, **_PAST, "eps": 1e-8}),
}  # fmt: skip
for _name, (_target, _summary, _options) in _EXTRA_OPTIMIZERS.items():
    _traits = {"averages": True} if _name.startswith("schedule_free") else {}
    OPTIMIZERS.add(_name, _target, summary=_summary, options=_options | _IMPLEMENTATION, traits=_traits, extra="optim")
OPTIMIZERS.add(
    "lamb", "scirs_neural.optim.lamb:lamb", extra="optim",
    summary="Adam with a trust ratio for each tensor, for large batches (You 2020)",
    options={"betas": (0.9, 0.999), "eps": 1e-6, "pre_norm": False, "max_grad_norm": 1.0, "foreach": None},
)  # fmt: skip
OPTIMIZERS.add(
    "lookahead", "scirs_neural.optim.lookahead:lookahead", extra="optim",
    summary="wraps another: slow weights that follow its fast ones (Zhang 2019)",
    options={"base": "adamw", "base_options": {}, "k": 5, "alpha": 0.5, "pullback_momentum": "none"},
)  # fmt: skip
OPTIMIZERS.add(
    "adamw_8bit", "scirs_neural.optim.eight_bit:AdamW8bit", extra="optim",
    summary="AdamW with moments of one byte; compiles its step, which takes seconds once",
    options={**_BETAS, "amsgrad": False, "block_size": 256, "bf16_stochastic_round": False},
)  # fmt: skip

_SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("the peak rate throughout, after the warm-up", {}),
    "linear": ("down to end_factor of the peak in a line", {"end_factor": 0.0}),
    "cosine": ("down to end_factor of the peak in half a cosine (Loshchilov 2017)", {"end_factor": 0.0}),
    "polynomial": ("down to 0 by a power of what is left", {"power": 2.0}),
    "step": ("times gamma every step_size epochs", {"step_size": 30, "gamma": 0.1}),
    "multi_step": ("times gamma at each of the milestones (epochs)", {"milestones": (30, 60, 80), "gamma": 0.1}),
    "exponential": ("times gamma every epoch", {"gamma": 0.95}),
    "one_cycle": ("up to the peak and down again in cosines (Smith 2018); warmup is the fraction that goes up",
                  {"div_factor": 25.0, "final_div_factor": 1e4}),
    "plateau": ("times factor when the monitored metric has not improved for patience epochs",
                {"factor": 0.1, "patience": 3, "monitor": "val/loss", "mode": "auto"}),
}  # fmt: skip
for _name, (_summary, _options) in _SCHEDULES.items():
    SCHEDULERS.add(_name, f"scirs_neural.optim.schedules:{_name}", summary=_summary, options=_options)
