"""Plugins by name."""

from __future__ import annotations

from scirs_neural.core.registry import Registry

PLUGINS = Registry("plugin")
