"""Training checkpoints, read as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scirs_neural.core.errors import CheckpointError
from scirs_neural.guard.shards import is_sharded, join_shards
from scirs_neural.guard.tree import is_tree, read_tree


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A training checkpoint as plain data, on the CPU; one whose tensors lie in shards is put together.

    Raises:
        CheckpointError: a file is missing, damaged, or holds more than plain data.
    """
    found = read_index(path)
    return join_shards(found, path) if is_sharded(found) else found


def read_index(path: str | Path) -> dict[str, Any]:
    """What one file of a checkpoint holds; of one in shards, all but its tensors.

    Raises:
        CheckpointError: the file is missing, damaged, or holds more than plain data.
    """
    from scirs_neural.guard.torch_file import read_checkpoint as guarded

    if not Path(path).is_file():
        raise CheckpointError(f"no such checkpoint: {path}")
    found = read_tree(path) if is_tree(path) else guarded(path)
    if not isinstance(found, dict):
        raise CheckpointError(f"a checkpoint is a mapping, this is a {type(found).__name__}", where=str(path))
    return found
