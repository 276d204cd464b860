"""What plugins see of a network while it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn


@contextlib.contextmanager
def tapped(model: nn.Module, plugins: Sequence[Any]) -> Iterator[dict[str, Tensor]]:
    """The outputs of the modules that plugins want to see, by name, while in the block.

    Args:
        model: the network.
        plugins: whose `Plugin.taps` name its modules.
    """
    values: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: values.update({name: output})

    names = sorted({name for plugin in plugins for name in plugin.taps()})
    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
