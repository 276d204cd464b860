"""Signatures of callables, and whether plain values fit the types that they ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from scirs_neural.core.errors import ConfigError

KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_LISTS = {list, tuple, set, frozenset, Sequence, MutableSequence, Collection, Iterable, AbstractSet}
_MAPPINGS = {dict, Mapping, MutableMapping}
_NAMES: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null", None: "null",
}  # fmt: skip


def signature(target: Callable[..., Any], label: str = "") -> Mapping[str, inspect.Parameter]:
    """The parameters of a callable, annotations evaluated where they can be.

    Args:
        target: a class or function.
        label: what errors call it.

    Raises:
        ConfigError: it cannot be called, or has no signature that can be read.
    """
    try:
        return inspect.signature(target, eval_str=True).parameters
    except (NameError, AttributeError, SyntaxError):  # names that only type checkers know
        return inspect.signature(target).parameters
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{label or repr(target)} cannot be called with options: {error}") from error


def signature_options(target: Callable[..., Any]) -> dict[str, Any]:
    """The keyword arguments of a callable and their defaults, without ``*args`` and ``**kwargs``.

    Example:
        >>> signature_options(lambda depth=2, *rest, width=3.0, **more: None)
        {'depth': 2, 'width': 3.0}
    """
    return {p.name: p.default for p in signature(target).values() if p.kind in KEYWORDS}


def type_of(default: Any) -> Any:
    """The type that a default stands for; Any where it says nothing.

    Example:
        >>> type_of(3), type_of((0.9, 0.999)), type_of(None)
        (<class 'int'>, list[float], typing.Any)
    """
    if default is None or default is inspect.Parameter.empty:
        return Any
    if isinstance(default, list | tuple):
        kinds = {type_of(item): None for item in default}
        return list[Union[tuple(kinds)]] if kinds else list  # type: ignore[misc]  # noqa: UP007 - made of a tuple
    return next((kind for kind in (bool, int, float, str) if isinstance(default, kind)), Any)


def fits(value: Any, kind: Any) -> bool:
    """Whether a plain value may stand where a type is asked for. A type of the code's own takes everything.

    Example:
        >>> fits(1, float), fits(0.1, int), fits([1, 2], tuple[int, int]), fits("a", int | None)
        (True, False, True, False)
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in inner)
    if origin is Literal:
        return value in inner
    if origin in (None, NoneType):
        return value is None
    if origin is bool:
        return isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is str:
        return isinstance(value, str)
    if origin in _MAPPINGS:
        return isinstance(value, Mapping)
    if origin in _LISTS:
        if not isinstance(value, list | tuple | set | frozenset):
            return False
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(fits(v, part) for v, part in zip(value, inner, strict=True))
        return not inner or all(fits(item, inner[0]) for item in value)
    return True


def describe(kind: Any) -> str:
    """A type as errors name it.

    Example:
        >>> describe(float | None), describe(list[int])
        ('a number or null', 'a list')
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(describe(part) for part in inner))
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in _NAMES:
        return _NAMES[origin]
    if origin in _LISTS or origin in _MAPPINGS:
        return "a list" if origin in _LISTS else "a group of settings"
    return getattr(origin, "__name__", str(origin))


def as_text(value: Any) -> str:
    """A value as a user writes it in YAML."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
