"""From what a user writes under ``loss:`` to a module: a name, a mapping, a file's class, or a list of terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.losses.composite import CompositeLoss, Term
from scirs_neural.losses.registry import LOSSES

REDUCTIONS = ("mean", "sum", "none", "batchmean")
_TENSOR_OPTIONS = ("weight", "pos_weight")  # YAML has lists where torch wants tensors

LossSpec = str | Mapping[str, Any] | Sequence[Any]


class FunctionLoss(nn.Module):
    """A plain function ``f(input, target, **options)`` as a loss module.

    Example:
        >>> loss = FunctionLoss(lambda input, target, power=1: (input - target).abs().pow(power).mean(), power=2)
        >>> loss(torch.tensor([3.0]), torch.tensor([1.0])).item()
        4.0
    """

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Call the function."""
        return self.function(input, target, **self.options)

    def extra_repr(self) -> str:
        """The function's name and its options."""
        shown = [getattr(self.function, "__name__", "function"), *(f"{k}={v!r}" for k, v in self.options.items())]
        return ", ".join(shown)


def create_loss(spec: LossSpec, *, where: str | None = None, **options: Any) -> nn.Module:
    """Build a loss from what a user writes.

    Args:
        spec: one of

            - a name of `LOSSES`: ``"cross_entropy"``
            - a class or function of a user's file or module: ``"./my.py:Tversky"``
            - a mapping with a ``name`` and options: ``{"name": "focal", "gamma": 1.0}``
            - a list of terms, each a name or a mapping that may hold a ``weight`` (a number; default 1), an ``as``
              (the name under which the term is logged) and options, under ``options`` where they would clash with
              those: ``[{"name": "cross_entropy"}, {"name": "dice", "weight": 0.5}]`` gives a `CompositeLoss`.
        where: where the spec came from, for errors.
        **options: more options of a single loss. Lists become tensors where torch wants one (``weight``).

    Raises:
        UnknownNameError: no such loss.
        ConfigError: the spec has another form, or an option that the loss does not take.

    Example:
        >>> create_loss("cross_entropy", label_smoothing=0.1)
        CrossEntropyLoss()
        >>> both = create_loss([{"name": "mse", "weight": 2.0}, {"name": "l1", "as": "absolute"}])
        >>> both(torch.tensor([3.0]), torch.tensor([1.0])).item(), {k: v.item() for k, v in both.terms.items()}
        (10.0, {'mse': 8.0, 'absolute': 2.0})
    """
    if isinstance(spec, str):
        return _build(spec, options, where)
    if isinstance(spec, Mapping):
        return _build(_name_of(spec, where), {**{k: v for k, v in spec.items() if k != "name"}, **options}, where)
    if isinstance(spec, Sequence) and len(spec) > 0:
        if options:
            raise ConfigError(
                f"options {sorted(options)} beside a list of losses", where=where, fix="give them to a term"
            )
        return CompositeLoss(_terms(spec, where))
    raise ConfigError(
        f"no loss can be made of {spec!r}", where=where, fix="give a name, a mapping with a name, or a list"
    )


def registered_name(loss: nn.Module) -> str:
    """The name under which a loss's class is registered, else the class's own.

    Example:
        >>> registered_name(nn.L1Loss()), registered_name(nn.Identity())
        ('l1', 'Identity')
    """
    mine = f"{type(loss).__module__}:{type(loss).__qualname__}"
    for name in LOSSES.names():
        target = LOSSES.entry(name).target
        if target is type(loss) or target in (mine, f"torch.nn:{type(loss).__name__}"):
            return name
    return type(loss).__name__


def _terms(specs: Sequence[Any], where: str | None) -> list[Term]:
    terms: list[Term] = []
    for index, item in enumerate(specs):
        place = f"{where or 'loss'}[{index}]"
        plain: Any = {"name": item} if isinstance(item, str) else item
        if not isinstance(plain, Mapping):
            raise ConfigError(
                f"no loss can be made of {item!r}", where=place, fix="give a name, or a mapping with a name"
            )
        name, weight = _name_of(plain, place), plain.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            fix = "weight is the term's, a number; class weights go under options: {weight: […]}"
            raise ConfigError(f"the weight of term '{name}' is {weight!r}", where=place, fix=fix)
        options = {str(key): value for key, value in plain.items() if key not in ("name", "weight", "as", "options")}
        options |= dict(plain.get("options", {}))
        label = str(plain.get("as") or _label(name))
        taken = {term.name for term in terms}
        label = next(n for n in [label, *(f"{label}_{i}" for i in range(2, len(specs) + 2))] if n not in taken)
        terms.append(Term(label, _build(name, options, place), float(weight)))
    return terms


def _name_of(spec: Mapping[str, Any], where: str | None) -> str:
    name = spec.get("name")
    if not isinstance(name, str):
        raise ConfigError(f"a loss without a name: {dict(spec)!r}", where=where, fix="add name: …")
    return name


def _label(name: str) -> str:
    """The name under which a term is logged: ``./my.py:TverskyLoss`` is ``tversky``."""
    if ":" not in name:
        return name
    last = name.rpartition(":")[2].rpartition(".")[2].removesuffix("Loss") or name.rpartition(":")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower()


def _build(name: str, options: Mapping[str, Any], where: str | None) -> nn.Module:
    entry = LOSSES.typed(name, where=where)
    target = entry.load()
    if isinstance(target, nn.Module):
        return target
    if options and getattr(target, "__init__", None) is nn.Module.__init__:  # its signature says **kwargs
        raise ConfigError(f"{entry.label} has no option '{next(iter(options))}'", where=where, fix="it takes none")
    entry.check(options, where=where, types=False)
    if "reduction" in options and options["reduction"] not in REDUCTIONS:
        suggestions = did_you_mean(str(options["reduction"]), REDUCTIONS)
        raise ConfigError(
            f"unknown reduction {options['reduction']!r} of loss '{name}'", where=where, suggestions=suggestions
        )
    ready = {key: _as_tensor(value) if key in _TENSOR_OPTIONS else value for key, value in options.items()}
    if not isinstance(target, type):
        return FunctionLoss(target, **ready)
    loss = target(**ready)
    if not callable(loss):
        raise ConfigError(
            f"'{name}' is a class whose objects cannot be called", where=where, fix="derive it from torch.nn.Module"
        )
    return loss if isinstance(loss, nn.Module) else FunctionLoss(loss)


def _as_tensor(value: Any) -> Any:
    if isinstance(value, (int, float)) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return torch.tensor(value, dtype=torch.get_default_dtype())
    return value
