"""AdamW with moments of one byte a parameter, whose state is saved as plain tensors."""

from __future__ import annotations

from typing import Any

import torch
from torchao.optim import AdamW8bit as _AdamW8bit
from torchao.optim.subclass_8bit import OptimState8bit

_PARTS = ("codes", "scale", "qmap")


class AdamW8bit(_AdamW8bit):
    """torchao's AdamW with block-wise quantized moments; tensors below 4,096 entries keep full ones.

    torchao's state consists of tensors of a class of its own, which no safe reader of checkpoints takes. Here it is
    saved as the plain tensors that those are made of, and put together again on loading.

    Source: Dettmers et al., 8-bit Optimizers via Block-wise Quantization, ICLR 2022; torchao.
    """

    def state_dict(self) -> dict[str, Any]:
        """The state in plain tensors."""
        held = super().state_dict()
        held["state"] = {
            index: {key: _apart(value) for key, value in moments.items()} for index, moments in held["state"].items()
        }
        return held

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take in a state that `state_dict` gave."""
        state = {
            index: {key: _together(value) for key, value in moments.items()}
            for index, moments in state_dict["state"].items()
        }
        super().load_state_dict({**state_dict, "state": state})
        for group in self.param_groups:  # torchao compiles its step for a rate in a tensor
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32)


def _apart(value: Any) -> Any:
    if not isinstance(value, OptimState8bit):
        return value
    return {**{part: getattr(value, part) for part in _PARTS}, "signed": value.signed, "dtype": str(value.dtype)}


def _together(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    dtype = getattr(torch, value["dtype"].removeprefix("torch."))
    return OptimState8bit(*(value[part] for part in _PARTS), value["signed"], dtype)
