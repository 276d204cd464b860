"""``trainer.compile``: tried on a batch first, so that what cannot be compiled trains as it is, and says why."""

from __future__ import annotations

import contextlib
import copy
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

_TIMED_STEPS = 5


@dataclass
class Compiled:
    """What became of a request to compile.

    Args:
        parts: what is compiled: dotted names, "" for the whole network; none if it cannot be.
        reason: why not, or why only so.
        graph_breaks: where the compiler had to leave the network to Python.
        warm_up_sec: of the first step, with its compilation.
        speed: eager time over compiled time of a step after that; below 1 it does not pay.
    """

    parts: list[str] = field(default_factory=list)
    reason: str = ""
    graph_breaks: list[str] = field(default_factory=list)
    warm_up_sec: float = 0.0
    speed: float = 0.0

    def sentence(self) -> str:
        """All of it in one line."""
        if not self.parts:
            return f"trainer.compile: not compiled, training goes on without: {self.reason}"
        what = "the whole network" if self.parts == [""] else f"{len(self.parts)} blocks"
        breaks = f"; {len(self.graph_breaks)} graph breaks: {'; '.join(self.graph_breaks)}" if self.graph_breaks else ""
        note = f" ({self.reason})" if self.reason else ""
        speed = f"{self.warm_up_sec:.1f} s to warm up, then {self.speed:.2f} times as fast as without"
        return f"trainer.compile: {what} compiled{note}, {speed}{breaks}"


Context = Callable[[], contextlib.AbstractContextManager[Any]]


def compile_network(
    network: nn.Module, mode: bool | str, inputs: Sequence[Any], within: Context = contextlib.nullcontext
) -> Compiled:
    """Compile a network in place, if that works on a batch.

    Everything is tried on copies: the network's own weights and statistics are not touched.

    Args:
        network: takes ``inputs``, each as an argument.
        mode: True or "whole", "regional", "reduce-overhead".
        inputs: a batch.
        within: the forward pass runs in it: a run in bf16 is tried in bf16.
    """
    parts, reason = [""], ""
    if mode == "regional":
        parts = repeated_blocks(network)
        if not parts:
            parts, reason = [""], "no block occurs twice: the whole instead of regions"
    on_gpu = any(isinstance(t, Tensor) and t.is_cuda for t in inputs)
    if mode == "reduce-overhead" and not on_gpu:
        reason = "CUDA graphs need a GPU: compiled without"
    options = {"mode": "reduce-overhead"} if mode == "reduce-overhead" and on_gpu else {}
    trial = copy.deepcopy(network).to(_device(inputs))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eager_sec = _step_sec(trial, inputs, within)
            _compile(trial, parts, options)
            start = time.perf_counter()
            _step(trial, inputs, within)
            warm_up_sec = time.perf_counter() - start
            compiled_sec = _step_sec(trial, inputs, within)
    except Exception as error:  # a compiler may raise anything, and none of it should end training
        return Compiled(reason=f"{type(error).__name__}: {_beginning(error)}")
    breaks = [text for name in parts[:1] for text in graph_breaks(network, name, inputs, within)]
    _compile(network, parts, options)
    return Compiled(parts, reason, breaks, warm_up_sec, eager_sec / compiled_sec)


def repeated_blocks(network: nn.Module) -> list[str]:
    """The outermost modules with parts of their own whose class occurs more than once: compiled once, used by all.

    Example:
        >>> block = lambda: nn.TransformerEncoderLayer(4, 1)
        >>> repeated_blocks(nn.Sequential(nn.Linear(2, 4), nn.ModuleList([block(), block()])))
        ['1.0', '1.1']
    """
    plain = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    named = [(n, m) for n, m in network.named_modules() if n and any(m.children()) and not isinstance(m, plain)]
    counts = Counter(type(part) for _, part in named)
    chosen: list[str] = []
    for name, part in named:
        if counts[type(part)] > 1 and not any(name.startswith(f"{outer}.") for outer in chosen):
            chosen.append(name)
    return chosen


def graph_breaks(
    network: nn.Module, part: str, inputs: Sequence[Any], within: Context = contextlib.nullcontext
) -> list[str]:
    """Where the compiler leaves a part of a network to Python, and why."""
    trial = copy.deepcopy(network).to(_device(inputs))
    caught: list[tuple[Any, Any]] = []
    if part:
        trial.get_submodule(part).register_forward_pre_hook(lambda m, a, k: caught.append((a, k)), with_kwargs=True)
        with torch.no_grad(), within():
            trial(*inputs)
    args, kwargs = caught[0] if caught else (tuple(inputs), {})
    target = copy.deepcopy(network).to(_device(inputs)).get_submodule(part)
    with warnings.catch_warnings(), within():
        warnings.simplefilter("ignore")  # the compiler warns of what it does itself
        found = torch._dynamo.explain(target)(*args, **kwargs)
    torch._dynamo.reset()
    reasons = []
    for held in found.break_reasons:
        at = held.user_stack[-1] if held.user_stack else None
        where = f" at {at.filename.rsplit('/', 1)[-1]}:{at.lineno}" if at is not None else ""
        reasons.append(f"{_beginning(held.reason)}{where}")
    return reasons


def _compile(network: nn.Module, parts: list[str], options: dict[str, Any]) -> None:
    for name in parts:
        network.get_submodule(name).compile(**options)


def _step(network: nn.Module, inputs: Sequence[Any], within: Context) -> None:
    network.train()
    with within():
        found = network(*inputs)
    torch.stack([t.float().sum() for t in tree_leaves(found) if isinstance(t, Tensor)]).sum().backward()
    network.zero_grad()


def _step_sec(network: nn.Module, inputs: Sequence[Any], within: Context) -> float:
    def timed(call: Callable[[], None]) -> float:
        start = time.perf_counter()
        call()
        if _device(inputs).type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    _step(network, inputs, within)
    return sorted(timed(lambda: _step(network, inputs, within)) for _ in range(_TIMED_STEPS))[_TIMED_STEPS // 2]


def _device(inputs: Sequence[Any]) -> torch.device:
    return next((t.device for t in inputs if isinstance(t, Tensor)), torch.device("cpu"))


def _beginning(text: object) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return re.sub(r"\s+", " ", " ".join(lines[:2]))[:200] if lines else "no reason given"
