"""What plugins see of a network while it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class Taps:
    """The outputs of the modules that plugins want to see, by name, while in the block.

    Args:
        model: the network.
        plugins: whose `Plugin.taps` name its modules.
    """

    def __init__(self, model: nn.Module, plugins: Sequence[Any]) -> None:
        self.values: dict[str, Tensor] = {}
        names = sorted({name for plugin in plugins for name in plugin.taps()})
        self.handles = [model.get_submodule(name).register_forward_hook(self._keep(name)) for name in names]

    def __enter__(self) -> dict[str, Tensor]:
        return self.values

    def __exit__(self, *raised: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _keep(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.values[name] = output

        return hook
