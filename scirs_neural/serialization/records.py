"""Records of plugins in a package: plain data in ``plugins.json``, and their tensors beside the network's weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from scirs_neural.core.errors import CheckpointError
from scirs_neural.core.registries import registry
from scirs_neural.guard.names import shown
from scirs_neural.serialization.schema import PLUGIN_TENSORS

_TENSOR = "$tensor"


def records_of(plugins: Sequence[Any]) -> list[dict[str, Any]]:
    """Name, version and record of plugins, in order, without those that have nothing to do to a fresh network.

    Args:
        plugins: `Plugin` objects, or what this gave.
    """
    records: list[dict[str, Any]] = []
    for plugin in plugins:
        if isinstance(plugin, Mapping):
            records.append(dict(plugin))
        elif record := plugin.record():
            records.append({"name": plugin.name, "version": plugin.version, "record": record})
    return records


def without_tensors(records: Sequence[Mapping[str, Any]], where: str) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Records of plugins as JSON has them, and their tensors by the names that take their place.

    Raises:
        CheckpointError: a record holds something that is neither plain data nor a tensor.

    Example:
        >>> import torch
        >>> record = {"name": "lora", "version": 1, "record": {"rank": 2, "scale": torch.ones(3)}}
        >>> plain, tensors = without_tensors([record], "it")
        >>> plain[0]["record"], list(tensors)
        ({'rank': 2, 'scale': {'$tensor': 'plugins/0/scale'}}, ['plugins/0/scale'])
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value.detach()
            return {_TENSOR: path}
        if isinstance(value, Mapping):
            if _TENSOR in value:
                raise CheckpointError(f"{path}: the key '{_TENSOR}' stands for tensors", where=where)
            return {str(key): plain(part, f"{path}/{key}") for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [plain(part, f"{path}/{number}") for number, part in enumerate(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise CheckpointError(
            f"{path}: a {type(value).__name__} is neither plain data nor a tensor", where=where,
            fix="a plugin's record has numbers, texts, lists, mappings and tensors",
        )  # fmt: skip

    stripped = [
        {**record, "record": plain(record.get("record", {}), f"{PLUGIN_TENSORS}{number}")}
        for number, record in enumerate(records)
    ]
    return stripped, tensors


def with_tensors(records: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor], where: str) -> list[Any]:
    """The records that `without_tensors` took apart.

    Raises:
        CheckpointError: the weights file lacks a tensor, or has one that no record names.
    """
    left = set(tensors)

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {_TENSOR}:
                name = value[_TENSOR]
                if not isinstance(name, str) or name not in tensors:
                    what = f"a plugin's record names the tensor {shown(str(name))}, which is not there"
                    raise CheckpointError(what, where=where)
                left.discard(name)
                return tensors[name]
            return {key: whole(part) for key, part in value.items()}
        return [whole(part) for part in value] if isinstance(value, list) else value

    restored = [whole(record) for record in records]
    if left:
        raise CheckpointError(f"the tensor '{min(left)}' belongs to no plugin's record", where=where)
    return restored


def changes_of(records: Sequence[Mapping[str, Any]]) -> list[Callable[[nn.Module], nn.Module]]:
    """What the plugins of a package do to a fresh network, in order."""

    def change(record: Mapping[str, Any]) -> Callable[[nn.Module], nn.Module]:
        def rebuild(model: nn.Module) -> nn.Module:
            plugin = registry("plugin").get(record["name"])()
            changed = plugin.rebuild(model, record["record"])
            if not isinstance(changed, nn.Module):
                what = f"the plugin '{record['name']}' gave a {type(changed).__name__}, not a network"
                raise CheckpointError(what)
            return changed

        return rebuild

    return [change(record) for record in records]
