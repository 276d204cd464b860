"""From a name and options to a layer: the one place where registry names become modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.registry import LAYERS
from scirs_neural.layers.torch_table import CLASS_OPTIONS

if TYPE_CHECKING:
    from torch import nn


def create_layer(name: str, *args: Any, where: str | None = None, **options: Any) -> nn.Module:
    """Build a layer by its registry name.

    An option whose value is a mapping with the key ``name`` is the spec of another layer and is built first, so layers
    that wrap others can be written in YAML.

    Args:
        name: a name of `LAYERS`.
        *args: options by position, in the order of the layer's own signature.
        where: where the name came from, for the error.
        **options: options by name.

    Raises:
        UnknownNameError: no such layer.
        ConfigError: an option that the layer does not have, or one missing that it needs, or a value it refuses.

    Example:
        >>> create_layer("linear", 4, out_features=2)
        Linear(in_features=4, out_features=2, bias=True)
        >>> create_layer("linear", in_features=4, out_feature=2)
        Traceback (most recent call last):
            ...
        scirs_neural.core.errors.ConfigError: layer 'linear' has no option 'out_feature'
          maybe  out_features
    """
    entry = LAYERS.entry(name, where=where)
    by_position = dict(zip(entry.options, args, strict=False))
    if faults := entry.faults({**by_position, **options}, where=lambda option: where, types=False):
        raise faults[0]
    built = {key: _value(name, key, value, where) for key, value in options.items()}
    try:
        layer: nn.Module = entry.load()(*args, **built)
    except ConfigError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"layer '{name}' refuses its options: {error}", where=where) from error
    return layer


def build_layer(spec: Any) -> nn.Module:
    """Build a layer from any of its forms: a name, a mapping with ``name``, a module (given back), a class or function.

    Example:
        >>> build_layer("relu"), build_layer({"name": "leaky_relu", "negative_slope": 0.2})
        (ReLU(), LeakyReLU(negative_slope=0.2))
    """
    from torch import nn

    if isinstance(spec, nn.Module):
        return spec
    if isinstance(spec, str):
        return create_layer(spec)
    if isinstance(spec, Mapping):
        return create_layer(**spec)
    if callable(spec):
        layer: nn.Module = spec()
        return layer
    raise ConfigError(
        f"{spec!r} is not a layer", fix="give a registry name, a mapping with 'name', a module or a class"
    )


def build_norm(spec: str | Callable[[int], nn.Module], channels: int) -> nn.Module:
    """Build a normalisation for a number of channels from its registry name or a function of the channels."""
    return create_layer(spec, channels) if isinstance(spec, str) else spec(channels)


def _value(name: str, option: str, value: Any, where: str | None) -> Any:
    """An option as the layer wants it: the names of classes looked up, the specs of layers built."""
    if isinstance(value, str) and option in CLASS_OPTIONS.get(name, ()):
        return LAYERS.get(value, where=where)
    builds_itself = name in BUILTIN and option == "activation"  # once for each place where it is used
    if isinstance(value, Mapping) and "name" in value and not builds_itself:
        return create_layer(**{**value, "where": where})
    return value
