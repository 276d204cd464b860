"""Networks from lists, graphs and files: plain `nn.Module`s with inferred shapes.

- `Sequential`: a list of specs, or `add` one after the other.
- `Input`, `layer`, `Model`: calls on symbolic tensors, any topology without cycles, shared layers.
- `repeat parallel branch residual dense_skip gated_skip`: compositions, in code and in YAML.
- `build`, `load_model_file`, ``model.to_yaml()``: the same networks as plain data, both ways.
- `summary`: layer, output shape, parameters, MACs, fraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.builder.blocks import branch as branch
    from scirs_neural.builder.blocks import chain as chain
    from scirs_neural.builder.blocks import dense_skip as dense_skip
    from scirs_neural.builder.blocks import gated_skip as gated_skip
    from scirs_neural.builder.blocks import parallel as parallel
    from scirs_neural.builder.blocks import repeat as repeat
    from scirs_neural.builder.blocks import residual as residual
    from scirs_neural.builder.files import build as build
    from scirs_neural.builder.files import load_model_file as load_model_file
    from scirs_neural.builder.layer_node import layer as layer
    from scirs_neural.builder.model import Model as Model
    from scirs_neural.builder.sequential import Sequential as Sequential
    from scirs_neural.builder.symbol import Input as Input
    from scirs_neural.builder.symbol import concat as concat
    from scirs_neural.builder.table import summary as summary

lazy(globals())
