"""The Trainer and its callbacks. The only home of Lightning's Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.training.module import Module as Module
    from scirs_neural.training.registry import CALLBACKS as CALLBACKS
    from scirs_neural.training.trainer import Trainer as Trainer

lazy(globals())
