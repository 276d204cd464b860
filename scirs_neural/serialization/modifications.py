"""What was done to a network after it was built, as plain data: the widths of a slim one, and other numbers.

A modification is found by comparing the network with a fresh one of its name. It puts only numbers in place of numbers,
and other shapes to tensors that are there: nothing that a file says can put anything else into a network. What plugins
did stands in their records instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.builder.model import Model
from scirs_neural.core.errors import CheckpointError
from scirs_neural.serialization.schema import Channels, Settings

Modification = Channels | Settings


def find_modifications(fresh: nn.Module, model: nn.Module) -> list[dict[str, Any]]:
    """The modifications that make a network of a fresh one.

    Args:
        fresh: as its name or class builds it, and plugins' records change it; the meta device will do.
        model: the network.

    Raises:
        CheckpointError: they differ by more than numbers: other layers, other names of tensors, other texts.

    Example:
        >>> find_modifications(nn.Linear(4, 8), nn.Linear(4, 5))
        [{'kind': 'channels', 'modules': {'': {'out_features': 5}}, 'tensors': {'weight': [5, 4], 'bias': [5]}}]
    """
    theirs, ours = dict(fresh.named_modules()), dict(model.named_modules())
    _refuse_others("layers", theirs, ours)
    for path, module in ours.items():
        if _kind(module) != _kind(theirs[path]):
            what = f"'{path or 'the network'}' is a {type(module).__name__}, not a {type(theirs[path]).__name__}"
            raise _no_longer(what)
    old, new = named_tensors(fresh), named_tensors(model)
    _refuse_others("tensors", old, new)
    shapes = {name: list(new[name].shape) for name in new if new[name].shape != old[name].shape}
    if unsaved := sorted(shapes.keys() - model.state_dict().keys()):
        raise _no_longer(f"the buffer '{unsaved[0]}' has another shape, and is not saved")
    widths: dict[str, dict[str, Any]] = {}
    others: dict[str, dict[str, Any]] = {}
    for path, module in ours.items():
        for name, value in _changes(path, theirs[path], module).items():
            table = widths if shapes and _is_whole(value) else others
            table.setdefault(path, {})[name] = list(value) if isinstance(value, tuple) else value
    modifications: list[dict[str, Any]] = []
    if shapes:
        modifications.append({"kind": "channels", "modules": widths, "tensors": shapes})
    if others:
        modifications.append({"kind": "settings", "modules": others})
    return modifications


def modify(model: nn.Module, modification: Modification, where: str) -> None:
    """Change a fresh network in place.

    Raises:
        CheckpointError: the modification names something that the network does not have, or another kind of value.
    """
    modules = dict(model.named_modules())
    for path, changes in modification.modules.items():
        if path not in modules:
            raise _no_such(path, where)
        value: Any
        for name, value in changes.items():
            old = _numbers(modules[path]).get(name)
            if old is None or not _same_kind(old, value):
                raise CheckpointError(
                    f"a modification sets '{path}.{name}' to {value!r}, where there is {old!r}", where=where
                )
            setattr(modules[path], name, type(old)(value) if isinstance(old, (tuple, list)) else value)
    if isinstance(modification, Channels):
        saved = model.state_dict().keys()
        tensors = {name: tensor for name, tensor in named_tensors(model).items() if name in saved}
        for name, shape in modification.tensors.items():
            if name not in tensors or len(shape) != tensors[name].dim():
                raise _no_such(name, where)
            tensors[name].data = torch.empty(shape, dtype=tensors[name].dtype, device=tensors[name].device)


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; one that has several names is there under each."""
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return dict(named)


def _changes(path: str, fresh: nn.Module, module: nn.Module) -> dict[str, Any]:
    """Numbers of one module that differ."""
    old, new = _numbers(fresh), _numbers(module)
    for name in vars(module).keys() & vars(fresh).keys():
        before, after = vars(fresh)[name], vars(module)[name]
        if isinstance(before, str) and isinstance(after, str) and before != after and name != "code":
            raise _no_longer(f"'{path}.{name}' is {after!r}, not {before!r}")
    return {name: new[name] for name in new if name in old and new[name] != old[name]}


def _numbers(module: nn.Module) -> dict[str, Any]:
    """The settings of a module that are numbers, or lists of them."""
    numbers = {}
    for name, value in vars(module).items():
        values = value if isinstance(value, (tuple, list)) else [value]
        if name.startswith("_") or name == "training" or not all(isinstance(v, (int, float)) for v in values):
            continue
        numbers[name] = tuple(value) if isinstance(value, tuple) else value
    return numbers


def _is_whole(value: Any) -> bool:
    values = value if isinstance(value, (tuple, list)) else [value]
    return all(isinstance(v, int) and not isinstance(v, bool) for v in values)


def _same_kind(old: Any, value: Any) -> bool:
    if isinstance(old, (tuple, list)):
        return isinstance(value, list) and len(old) == len(value) and all(map(_same_kind, old, value))
    if isinstance(old, bool) or isinstance(value, bool):
        return isinstance(old, bool) and isinstance(value, bool)
    return isinstance(value, (int, float)) and (isinstance(old, float) or isinstance(value, int))


def _kind(module: nn.Module) -> tuple[str, str]:
    known = Model if isinstance(module, Model) else type(module)  # the builder writes a class for each network
    return known.__module__, known.__qualname__


def _refuse_others(what: str, fresh: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    others = [name or "itself" for name in (*model.keys() - fresh.keys(), *fresh.keys() - model.keys())]
    if others:
        shown = ", ".join(sorted(others)[:3]) + (", …" if len(others) > 3 else "")
        raise _no_longer(f"it has other {what}: {shown}")


def _no_longer(difference: str) -> CheckpointError:
    return CheckpointError(
        f"the network is no longer what its name builds: {difference}",
        fix="write a class or function that builds it, and give that as model_class when saving and loading",
    )


def _no_such(name: str, where: str) -> CheckpointError:
    return CheckpointError(f"a modification changes '{name}', which the network does not have", where=where)
