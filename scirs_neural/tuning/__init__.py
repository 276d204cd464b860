"""Searching among settings. Composed by us, driven by Optuna, kept in one study folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.tuning.search import Search as Search
    from scirs_neural.tuning.space import parse_space as parse_space

lazy(globals())
