"""Networks whose parts lie on different devices: how their checkpoints are written and read.

Whole files, which rank 0 writes, or shards (`trainer.checkpoint.sharded`): each rank writes what it holds, nothing is
gathered, and no process needs memory for all of it. Both are read on any number of ranks, and in one process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, distributed
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from scirs_neural.core.errors import CheckpointError, StorageError
from scirs_neural.core.paths import sync_tree
from scirs_neural.guard.shards import PLACE, TABLE, Table, checksum, fill_from_shards, is_sharded, name_of, with_tensors
from scirs_neural.serialization.checkpoint import read_index
from scirs_neural.training.checkpoint_io import remove_shards, shards_home, write_checkpoint
from scirs_neural.training.distributed.tensor_parallel import is_split

_SPREAD = ("state_dict", "optimizer_states")  # whose tensors go to the shards; elsewhere only those that are spread


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy for FSDP2 and tensor parallelism, with this package's checkpoints.

    Args:
        data_parallel_size: ranks (or groups of ranks) with batches of their own.
        tensor_parallel_size: ranks that share a layer.
        sharded: whether each rank writes what it holds.
        form: of the file, or of the index: see `DurableCheckpointIO`.
    """

    def __init__(self, data_parallel_size: int, tensor_parallel_size: int, *, sharded: bool, form: str) -> None:
        super().__init__(
            data_parallel_size=data_parallel_size, tensor_parallel_size=tensor_parallel_size,
            save_distributed_checkpoint=sharded,
        )  # fmt: skip
        self.sharded, self.form = sharded, form

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """An optimizer's state with numbers for its parameters, as one process has it; empty where nothing is saved."""
        options = StateDictOptions(full_state_dict=not self.sharded, cpu_offload=True)
        state = self._state_of(optimizer, options)
        return _renamed(state, {name: number for number, name in enumerate(_parameters(state))}) if state else state

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; all ranks call it.

        Raises:
            StorageError: it could not be written. What stood there before is untouched.
        """
        path = Path(self.broadcast(filepath))
        if self.sharded:
            self._write_shards(checkpoint, path)
        else:
            super().save_checkpoint(checkpoint, path, storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Put a checkpoint into the network and its optimizers, whatever ranks it was written by; all ranks call it.

        Returns:
            What else is in it.

        Raises:
            CheckpointError: a file is missing, damaged, or of another network.
        """
        path = Path(self.broadcast(checkpoint_path))
        checkpoint = read_index(path)
        network, sharded = self.model, is_sharded(checkpoint)
        assert network is not None
        now = [self._state_of(optimizer, StateDictOptions()) for optimizer in self.optimizers]
        states = [
            _renamed(state, dict(zip(_parameters(state), _parameters(own), strict=True)))
            for state, own in zip(checkpoint.get("optimizer_states", []), now, strict=False)
        ]
        if sharded:
            like = {"state_dict": get_model_state_dict(network), "optimizer_states": now}
            checkpoint = _filled({**checkpoint, "optimizer_states": states}, like, path)
            states = checkpoint["optimizer_states"]
        options = StateDictOptions(full_state_dict=not sharded, strict=False)
        unlike = set_model_state_dict(network, checkpoint.pop("state_dict"), options=options)
        if unlike.missing_keys or unlike.unexpected_keys:
            found = f"missing {unlike.missing_keys[:3]}, unexpected {unlike.unexpected_keys[:3]}"
            raise CheckpointError(f"the checkpoint is of another network: {found}", where=str(path))
        for optimizer, state in zip(self.optimizers, states, strict=False):
            set_optimizer_state_dict(network, optimizer, state, options=options)
        return checkpoint

    def _state_of(self, optimizer: Any, options: StateDictOptions) -> dict[str, Any]:
        """An optimizer's state with names for its parameters."""
        assert self.model is not None
        held = getattr(optimizer, "_optimizer", optimizer)  # Lightning wraps it
        return dict(get_optimizer_state_dict(self.model, held, options=options))

    def _write_shards(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Write a new folder of shards, then the index that names it, then remove the old folder."""
        from torch.distributed import checkpoint as shards
        from torch.distributed.checkpoint import HuggingFaceStorageWriter
        from torch.distributed.checkpoint.api import CheckpointException

        tensors: dict[str, Tensor] = {}
        index = {key: _taken_out(value, key, tensors, key in _SPREAD) for key, value in checkpoint.items()}
        folder = shards_home(path) / self.broadcast(secrets.token_hex(4))
        self._on_first(lambda: folder.mkdir(parents=True))
        try:
            shards.save(tensors, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
        except CheckpointException as error:  # on all ranks, whichever it began on
            reason = next(iter(error.failures.values()))[0]
            raise StorageError(f"could not save the checkpoint: {reason}", where=str(folder)) from error
        files = sorted(folder.iterdir())
        checksums = {file.name: checksum(file) for file in files[self.global_rank :: self.world_size]}
        everyones: list[Any] = [None] * self.world_size
        distributed.all_gather_object(everyones, checksums)
        index[TABLE] = {
            "folder": folder.relative_to(path.parent).as_posix(),
            "files": {name: value for some in everyones for name, value in some.items()},
            "tensors": {
                name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")] for name, tensor in tensors.items()
            },
        }

        def publish() -> None:
            sync_tree(folder.parent)
            write_checkpoint(index, path, self.form)
            remove_shards(path, but=folder)

        self._on_first(publish)

    def _on_first(self, act: Callable[[], object]) -> None:
        """Let rank 0 do something; when that fails, it fails everywhere, and no rank waits for one that is gone."""
        said: tuple[str, str | None] | None = None
        if self.is_global_zero:
            try:
                act()
            except (StorageError, OSError) as error:
                said = (getattr(error, "what", f"could not write: {error}"), getattr(error, "where", None))
        said = self.broadcast(said)
        if said is not None:
            raise StorageError(said[0], where=said[1])


def _taken_out(node: Any, place: str, tensors: dict[str, Tensor], every: bool) -> Any:
    """A tree without its tensors (those that are spread, or every one that has a shape), which go to a dict."""
    if isinstance(node, Tensor) and (is_split(node) or (every and node.dim() and node.numel())):
        tensors[place] = node
        return {PLACE: place}
    if isinstance(node, Mapping):
        return {key: _taken_out(value, f"{place}/{key}", tensors, every) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_taken_out(value, f"{place}/{i}", tensors, every) for i, value in enumerate(node))
    return node


def _filled(index: dict[str, Any], like: Any, path: Path) -> dict[str, Any]:
    """A sharded checkpoint with its tensors, each cut as the one in its place in a tree like it, if there is one."""
    likes: dict[str, Tensor] = {}
    _match(index, like, likes)
    targets: dict[str, Tensor] = {}
    for name, (shape, dtype) in Table(index, path).tensors.items():
        held = likes.get(name)
        if held is not None and tuple(held.shape) == shape:
            targets[name] = torch.empty_like(held, dtype=dtype)
        else:
            targets[name] = torch.empty(shape, dtype=dtype)
    fill_from_shards(targets, index, path)
    return {key: with_tensors(value, targets.__getitem__) for key, value in index.items() if key != TABLE}


def _match(node: Any, like: Any, found: dict[str, Tensor]) -> None:
    """Find what stands in another tree where this one has the names of tensors."""
    name = name_of(node)
    if name is not None:
        found |= {name: like} if isinstance(like, Tensor) else {}
    elif isinstance(node, Mapping) and isinstance(like, Mapping):
        for key in node.keys() & like.keys():
            _match(node[key], like[key], found)
    elif isinstance(node, list) and isinstance(like, list):
        for one, other in zip(node, like, strict=False):
            _match(one, other, found)


def _parameters(state: dict[str, Any]) -> list[Any]:
    """An optimizer's parameters in the order of its groups, which is how torch numbers them."""
    return [key for group in state["param_groups"] for key in group["params"]]


def _renamed(state: dict[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """An optimizer's state with other names, or numbers, for its parameters."""
    groups = [{**group, "params": [names[key] for key in group["params"]]} for group in state["param_groups"]]
    return {"state": {names[key]: value for key, value in state["state"].items()}, "param_groups": groups}
