"""Torchmetrics' classes by name, and functions of the user's on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.metrics.named import NamedMetric as NamedMetric
    from scirs_neural.metrics.named import named_metrics as named_metrics
    from scirs_neural.metrics.registry import METRICS as METRICS
    from scirs_neural.metrics.registry import NOT_SCALAR as NOT_SCALAR

lazy(globals())
