"""The table of compositions. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import REQUIRED, Registry

COMPOSITIONS = Registry("composition")
for _name, _class, _summary, _options in (
    ("sequential", "Chain", "one node after the other", {"items": REQUIRED}),
    ("repeat", "Repeat", "the same nodes several times over", {"layers": REQUIRED, "times": REQUIRED}),
    ("parallel", "Parallel", "chains on one input, merged", {"branches": REQUIRED, "merge": "concat", "dim": 1}),
    ("branch", "Branch", "a side path", {"layers": REQUIRED}),
    ("residual", "Residual", "body(x) + projection(x)",
     {"layers": REQUIRED, "projection": "auto", "projection_norm": None, "activation": None}),
    ("dense_skip", "DenseSkip", "each body gets the channels of all before it",
     {"layers": REQUIRED, "times": 1, "dim": 1}),
    ("gated_skip", "GatedSkip", "a highway", {"layers": REQUIRED, "gate_bias": -2.0, "projection": "auto"}),
):  # fmt: skip
    COMPOSITIONS.add(_name, f"scirs_neural.builder.blocks:{_class}", summary=_summary, options=_options)
