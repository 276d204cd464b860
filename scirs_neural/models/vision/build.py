"""Builds torchvision's networks for the data at hand: size of the input, channels, number of classes, small stems.

What comes out is torchvision's own module. Only its first convolution, early strides and pools may differ, as the
family's `Layout` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.core.importing import resolve
from scirs_neural.models.catalog import ModelEntry
from scirs_neural.models.vision.families import (
    FAMILIES,
    OWN_DEFAULTS,
    SMALL_BY_DEFAULT,
    SMALL_INPUT,
    SMALL_INPUT_OF,
    Layout,
)


@dataclass(frozen=True)
class Adaptation:
    """What differs between the published network and the wanted one."""

    num_classes: int
    in_channels: int
    input_size: tuple[int, int]
    small: bool


def wants_small(entry: ModelEntry, stem: str, input_size: tuple[int, int] | None, pretrained: bool) -> bool:
    """Whether a network gets the small stem.

    With ``auto``, pretrained networks keep the stem that their weights belong to.

    Raises:
        ConfigError: the stem is unknown, or asked for where there is none.
    """
    if stem not in ("auto", "standard", "small"):
        raise ConfigError(f"unknown stem '{stem}'", fix="stem is one of auto, standard, small")
    offered = entry.family in FAMILIES and FAMILIES[entry.family].layout.small is not None
    if stem == "small" and not offered:
        raise ConfigError(f"{entry.name} has no small stem", fix="stem=standard or stem=auto, or another network")
    if stem != "auto":
        return stem == "small"
    tiny = input_size is not None and max(input_size) <= SMALL_INPUT_OF.get(entry.family, SMALL_INPUT)
    return tiny and not pretrained and entry.family in SMALL_BY_DEFAULT


def build(entry: ModelEntry, wanted: Adaptation, options: Mapping[str, Any]) -> nn.Module:
    """Build a torchvision network of the catalogue, adapted, with first weights drawn as torchvision draws them."""
    layout = FAMILIES[entry.family].layout
    start = {key: value for key, value in OWN_DEFAULTS.items() if key in entry.options}
    arguments: dict[str, Any] = {**start, **options, "num_classes": wanted.num_classes}
    conv: dict[str, Any] = dict(layout.small.conv) if wanted.small and layout.small else {}
    if layout.aux:
        arguments |= {"aux_logits": False, "init_weights": True}
    patch = side = 0
    if layout.size_option == "image_size":
        side = _square(entry, wanted.input_size)
        patch, own = _patch_size(entry, layout, wanted.small, side, arguments.pop("patch_size", None))
        arguments["image_size"] = side // patch * own  # as many patches as we want; the kernel follows below
        conv = {} if patch == own else {"kernel_size": patch, "stride": patch}
    elif layout.size_option:
        arguments[layout.size_option] = _multiple(entry, wanted.input_size)
    try:
        model: nn.Module = resolve(entry.builder)(**arguments)
    except (ValueError, NotImplementedError, TypeError) as error:
        if not options:
            raise
        given = ", ".join(f"{key}={value}" for key, value in options.items())
        raise ConfigError(f"{entry.name} cannot be built with {given}: {error}") from error
    if patch:
        model.patch_size, model.image_size = patch, side  # type: ignore[assignment]
    rebuild_stem(model, layout, wanted.in_channels, conv)
    if wanted.small and layout.small:
        _unstride(model, layout.small.unstride)
        _drop_pools(model, layout.small.drop_pools)
    return model


def _patch_size(entry: ModelEntry, layout: Layout, small: bool, side: int, asked: int | None) -> tuple[int, int]:
    """The patch size to use, and the published one."""
    own: int = entry.options["patch_size"]
    if asked is not None and asked != own:
        patch = asked
    elif small and layout.small and layout.small.patches_per_side:
        patch = max(1, side // layout.small.patches_per_side)
    else:
        patch = own
    if patch < 1:
        raise ConfigError(f"patch_size is a whole number of at least 1, not {patch}")
    if side % patch:
        raise ShapeError(
            f"{entry.name} cuts its input into patches of {patch} px, and {side} px is not a multiple of that",
            fix=f"data.image_size={max(patch, round(side / patch) * patch)}, or model.patch_size=…",
        )
    return patch, own


def _square(entry: ModelEntry, size: tuple[int, int]) -> int:
    if size[0] != size[1]:
        raise ShapeError(f"{entry.name} takes square inputs only, not {size[0]}x{size[1]} px")
    return size[0]


def _multiple(entry: ModelEntry, size: tuple[int, int]) -> tuple[int, int]:
    """MaxViT's windows must tile every stage: five halvings, then windows of 7."""
    own = entry.input_size
    if size[0] % own or size[1] % own:
        closest = max(own, round(max(size) / own) * own)
        raise ShapeError(
            f"{entry.name} takes sides that are multiples of {own} px, not {size[0]}x{size[1]} px",
            fix=f"data.image_size={closest}, or another network",
        )
    return size


def rebuild_stem(model: nn.Module, layout: Layout, in_channels: int, changes: Mapping[str, Any]) -> None:
    """Put a new first convolution in the old one's place, if anything about it changes.

    Args:
        model: the network.
        layout: says where the convolution is, and how its kernel is drawn.
        in_channels: of the new one.
        changes: further settings that differ from the old one's; a new kernel size comes without padding.
    """
    old = model.get_submodule(layout.stem)
    assert isinstance(old, nn.Conv2d)
    if in_channels == old.in_channels and not changes:
        return
    settings = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding, **changes}
    if "kernel_size" in changes and "padding" not in changes:
        settings["padding"] = 0
    new = nn.Conv2d(in_channels, old.out_channels, bias=old.bias is not None, **settings)
    if layout.init is not None:
        draw, arguments = layout.init
        if arguments.get("std") == "fan_in":
            arguments = {**arguments, "std": new.weight[0].numel() ** -0.5}
        getattr(nn.init, draw)(new.weight, **arguments)
        if new.bias is not None:
            nn.init.zeros_(new.bias)
    model.set_submodule(layout.stem, new)


def _unstride(model: nn.Module, count: int) -> None:
    strided = [module for module in model.modules() if isinstance(module, nn.Conv2d) and max(module.stride) > 1]
    for conv in strided[:count]:
        conv.stride = (1, 1)


def _drop_pools(model: nn.Module, count: int) -> None:
    pools = [path for path, module in model.named_modules() if isinstance(module, nn.MaxPool2d) and module.stride != 1]
    for path in pools[:count]:
        model.set_submodule(path, nn.Identity())


def adapt_kernel(kernel: torch.Tensor, in_channels: int) -> torch.Tensor:
    """A first convolution's kernel for another number of channels than it was trained with.

    One channel: the sum over the trained ones, so that a grey picture gives what its copy in every channel gave. Other
    numbers: the trained ones in turn, scaled so that the sum over channels stays.

    Shape: (O, C, K, K) -> (O, in_channels, K, K).

    Source: timm's ``adapt_input_conv``.

    Example:
        >>> adapt_kernel(torch.ones(8, 3, 5, 5), 1).unique()
        tensor([3.])
    """
    held = kernel.shape[1]
    if in_channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    turns = torch.arange(in_channels) % held
    return kernel[:, turns] * (held / in_channels)
