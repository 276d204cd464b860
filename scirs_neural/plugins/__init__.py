"""Plugins: what is done to a training run, network included. Quantization, pruning, distillation, averaging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.plugins.build import create_plugins as create_plugins
    from scirs_neural.plugins.order import finalize_all as finalize_all
    from scirs_neural.plugins.order import prepare_all as prepare_all
    from scirs_neural.plugins.plugin import Plugin as Plugin
    from scirs_neural.plugins.registry import PLUGINS as PLUGINS

lazy(globals())
