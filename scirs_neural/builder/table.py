"""What a network is made of: layer, output shape, parameters, MACs, fraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scirs_neural.builder.layer_node import meta_copy
from scirs_neural.builder.node_specs import InputSpec
from scirs_neural.builder.symbol import BATCH, show_shape
from scirs_neural.core.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """One layer: its path, class, output shape, parameters (0 where it is called again) and MACs for one sample."""

    path: str
    kind: str
    shape: str
    parameters: int
    macs: int
    shared: bool = False


@dataclass(frozen=True)
class Summary:
    """The rows and totals of a network. ``print(summary(net))`` shows the table."""

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    macs: int

    def __str__(self) -> str:
        head = ("layer", "kind", "output shape", "parameters", "share", "MACs")
        body = [
            (
                row.path,
                row.kind,
                row.shape,
                "shared" if row.shared else f"{row.parameters:,}",
                f"{100 * row.parameters / self.parameters:.1f} %" if row.parameters else "",
                f"{row.macs:,}" if row.macs else "",
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        lines = [
            "  ".join(_cell(t, w, i) for i, (t, w) in enumerate(zip(r, widths, strict=True))).rstrip()
            for r in [head, *body]
        ]
        rule = "─" * max(len(line) for line in lines)
        frozen = self.parameters - self.trainable
        total = f"{self.parameters:,} parameters" + (f" ({frozen:,} frozen)" if frozen else "")
        size = size_text(self.parameters)
        return "\n".join(
            [lines[0], rule, *lines[1:], rule, f"{total}, {size} in float32, {self.macs:,} MACs for one sample"]
        )


def summary(model: nn.Module, input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None) -> Summary:
    """Describe any network.

    It runs once on the meta device: no memory, no values, the model is not touched. MACs are half of what torch's
    `FlopCounterMode` counts: products of matrices, convolutions and attention.

    Args:
        model: any module.
        input_shape: of one sample, without the batch, or several such; a built `Model` knows its own.

    Raises:
        ConfigError: no shape was given and the model knows none.

    Example:
        >>> from scirs_neural.builder import Sequential
        >>> print(summary(Sequential([{"linear": 8}, "relu", {"linear": 2}], input_shape=(4,))))
        layer  kind    output shape  parameters   share  MACs
        ─────────────────────────────────────────────────────
        0      Linear  (N, 8)                40  69.0 %    32
        1      ReLU    (N, 8)                 0
        2      Linear  (N, 2)                18  31.0 %    16
        ─────────────────────────────────────────────────────
        58 parameters, 232 B in float32, 48 MACs for one sample
    """
    inputs = _inputs(model, input_shape)
    probe = meta_copy(model)
    rows: list[Row] = []
    seen: set[int] = set()
    flops = FlopCounterMode(display=False)
    paths = {id(module): path for path, module in probe.named_modules()}

    def before(module: nn.Module, args: Any) -> None:
        counted.append(flops.get_total_flops())

    def after(module: nn.Module, args: Any, output: Any) -> None:
        own = flops.get_total_flops() - counted.pop()
        parameters = sum(p.numel() for p in module.parameters() if id(p) not in seen)
        again = parameters == 0 and any(True for _ in module.parameters())
        seen.update(id(p) for p in module.parameters())
        rows.append(
            Row(paths[id(module)], type(module).__name__, show_shape(output), parameters, own // 2 // BATCH, again)
        )

    counted: list[int] = []
    for module in _shown(probe):
        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
    with torch.no_grad(), flops:
        probe(*inputs)
    total = {id(p): p for p in model.parameters()}.values()
    return Summary(
        tuple(rows),
        sum(p.numel() for p in total),
        sum(p.numel() for p in total if p.requires_grad),
        flops.get_total_flops() // 2 // BATCH,
    )


def _shown(module: nn.Module) -> list[nn.Module]:
    """The modules that get a row: those without children, and those with parameters beside their children."""
    found: list[nn.Module] = []
    for child in module.children():
        whole = not any(True for _ in child.children()) or any(True for _ in child.parameters(recurse=False))
        found += [child] if whole else _shown(child)
    return list({id(m): m for m in found}.values()) or [module]


def _inputs(model: nn.Module, shape: Any) -> list[torch.Tensor]:
    if shape is not None:
        shapes = [shape] if all(isinstance(size, int) for size in shape) else list(shape)
        return [torch.empty(BATCH, *sizes, device="meta") for sizes in shapes]
    specs = getattr(model, "inputs", None)
    if not isinstance(specs, tuple) or not all(isinstance(spec, InputSpec) for spec in specs):
        raise ConfigError(
            f"{type(model).__name__} does not know its input's shape", fix="give input_shape, without the batch"
        )
    return [torch.empty(BATCH, *f.shape, dtype=getattr(torch, f.dtype), device="meta") for f in specs]


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column < 3 else text.rjust(width)


def size_text(parameters: int) -> str:
    """The size of so many float32 numbers.

    Example:
        >>> size_text(25_557_032)
        '97.5 MiB'
    """
    size = 4.0 * parameters
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
