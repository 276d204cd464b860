"""The table of layers. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import Registry
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.torch_table import TORCH, TORCHVISION

SHIPPED = {**TORCH, **TORCHVISION, **BUILTIN}

LAYERS = Registry("layer")
for _name, (_target, _summary, _options) in SHIPPED.items():
    LAYERS.add(_name, _target, summary=_summary, options=_options)
