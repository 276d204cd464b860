"""The only way in for files that others made: checkpoints, packages, settings, pictures, graphs.

Nothing that a file names is imported or called, and no file costs more than `BUDGETS` allows. What is refused raises
`scirs_neural.core.errors.RefusedError`. Only what reads tensors needs torch, and loads it when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.guard.archive import Archive as Archive
    from scirs_neural.guard.archive import open_archive as open_archive
    from scirs_neural.guard.budgets import BUDGETS as BUDGETS
    from scirs_neural.guard.budgets import Budgets as Budgets
    from scirs_neural.guard.tensors import Header as Header
    from scirs_neural.guard.tensors import TensorInfo as TensorInfo
    from scirs_neural.guard.tensors import read_header as read_header
    from scirs_neural.guard.text import read_json as read_json
    from scirs_neural.guard.text import read_yaml as read_yaml
    from scirs_neural.guard.tokenizer import read_tokenizer as read_tokenizer
    from scirs_neural.guard.weights import read_checkpoint as read_checkpoint
    from scirs_neural.guard.weights import read_metadata as read_metadata
    from scirs_neural.guard.weights import read_state_dict as read_state_dict
    from scirs_neural.guard.weights import write_state_dict as write_state_dict

lazy(globals())
