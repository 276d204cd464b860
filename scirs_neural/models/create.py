"""From a name to a network that fits the data: the one function that builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.models.catalog import ModelEntry, WeightsEntry, catalogue
from scirs_neural.models.meta import is_on_meta, output_shape
from scirs_neural.models.pretrained import weights_file
from scirs_neural.models.registry import MODELS
from scirs_neural.models.vision.build import Adaptation, build, wants_small
from scirs_neural.models.vision.families import FAMILIES, Layout
from scirs_neural.models.weights import find_weights, load_weights

_LARGEST_TRIED = 256  # px
RECIPE = "scirs_recipe"  # the attribute of a built network that says, as plain data, how to build it again


def create_model(
    name: str,
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    stem: str = "auto",
    input_size: int | tuple[int, int] | None = None,
    seed: int | None = None,
    load: bool = True,
    **options: Any,
) -> nn.Module:
    """Build a network by name, adapted to the data.

    A network of torchvision's comes out as torchvision's own module, with its head for `num_classes`, its first
    convolution for `in_channels`, and the stem that was asked for. Any other registered builder, and one named by an
    import string (``"my_nets.py:Net"``), is called with the options, and with what it takes of `num_classes`,
    `in_channels`, `input_size` and the other arguments that follow from the data (``MODELS.supplied``).

    The two old networks with auxiliary classifiers (googlenet, inception_v3) are built without them, so they give plain
    logits while they train too.

    Args:
        name: a registered name (``list_models()``), or an import string.
        weights: a published name such as "IMAGENET1K_V1" or "DEFAULT", or the path of a .pth, .pt, .ckpt or
            .safetensors file. Only a new head, a new stem and first kernels for other channels may differ from the
            file; see `scirs_neural.models.weights.load_weights`.
        num_classes: logits given out; None takes the network's own.
        in_channels: channels of the input; None takes the network's own.
        stem: "standard"; "small" for inputs of few pixels: less early down-sampling; "auto": small for networks without
            pretrained weights when `input_size` is small for the family (``SMALL_INPUT``, ``SMALL_INPUT_OF``).
        input_size: side of the input in px, or (height, width). Given, it is checked that the network takes it, and
            networks that are built for one size (ViT, MaxViT) are built for this one. None takes the network's own.
        seed: for the first weights, whatever the state of torch's generator; None draws from that.
        load: whether to read the weights. False builds the same network without them, for a checkpoint of one's own;
            so does building on the meta device.
        **options: the builder's own; ``python -m scirs_neural.info NAME`` shows them.

    Returns:
        The network, in training mode.

    Raises:
        UnknownNameError: no such network or weights.
        ConfigError: an option that the builder does not take, or of the wrong type; a stem that is not offered.
        ShapeError: the input is too small, or of a shape that the network cannot take.
        CheckpointError: the weights file cannot be used, or does not fit.
        OfflineError: published weights that are not here and cannot be fetched.

    Example:
        >>> net = create_model("resnet18", num_classes=10, in_channels=1, input_size=8)
        >>> net.conv1, net.fc.out_features
        (Conv2d(1, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False), 10)
    """
    _check_count("num_classes", num_classes)
    _check_count("in_channels", in_channels)
    size = _sides(input_size)
    entry = catalogue().get(name)
    source = None if weights is None else find_weights(weights, entry, name)
    published = source if isinstance(source, WeightsEntry) else None
    load = load and source is not None and not is_on_meta()
    with _seeded(seed):
        if entry is not None and entry.family in FAMILIES:
            layout: Layout | None = FAMILIES[entry.family].layout
            small = wants_small(entry, stem, size, pretrained=source is not None)
            model = _from_catalogue(entry, published, num_classes, in_channels, small, size, options)
        else:
            if stem == "small":
                raise ConfigError(f"{name} has no small stem", fix="stem=standard or stem=auto, or another network")
            given = {"num_classes": num_classes, "in_channels": in_channels, "input_size": input_size, **options}
            supplied = {key: given[key] for key in given if key in MODELS.supplied and given[key] is not None}
            plain = {key: value for key, value in options.items() if key not in MODELS.supplied}
            model = _from_builder(name, supplied, plain)
            layout, small = None, False
    built_for = size
    if size is None and published and entry is not None and published.input_size != entry.input_size:
        built_for = (published.input_size, published.input_size)
    recipe = {"name": name, "num_classes": num_classes, "in_channels": in_channels, "input_size": built_for, **options}
    setattr(model, RECIPE, {**recipe, "stem": "small" if small else "standard"})
    if entry is not None and size is not None:
        check_input(model, name, (in_channels or entry.in_channels, *size))
    if load:
        path = weights_file(name, published) if published else source
        assert isinstance(path, Path)
        load_weights(model, path, layout=layout, new_head=num_classes is not None, new_stem=small)
    return model.to("meta") if is_on_meta() else model


def check_input(model: nn.Module, name: str, input_shape: tuple[int, int, int]) -> None:
    """Find out, on the meta device, whether a network takes inputs of a shape.

    Args:
        model: the network.
        name: what to call it.
        input_shape: (channels, height, width).

    Raises:
        ShapeError: it does not. Names the smallest square that it takes.
    """
    channels, height, width = input_shape
    if _takes(model, input_shape):
        return
    low, high = min(height, width), _LARGEST_TRIED
    if not _takes(model, (channels, high, high)):
        raise ShapeError(f"{name} cannot take inputs of {channels}x{height}x{width}", fix="another data.image_size")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _takes(model, (channels, middle, middle)) else (middle, high)
    raise ShapeError(
        f"{name} needs inputs of at least {high}x{high} px, not {height}x{width}",
        fix=f"data.image_size={high} or more, or another network",
    )


def _from_catalogue(
    entry: ModelEntry,
    published: WeightsEntry | None,
    num_classes: int | None,
    in_channels: int | None,
    small: bool,
    size: tuple[int, int] | None,
    options: Mapping[str, Any],
) -> nn.Module:
    MODELS.entry(entry.name).check(options)
    own = published.input_size if published else entry.input_size
    wanted = Adaptation(num_classes or entry.num_classes, in_channels or entry.in_channels, size or (own, own), small)
    if published and "transform_input" in entry.options and wanted.in_channels == entry.in_channels:
        options = {"transform_input": True, **options}  # these two were trained on inputs scaled to -1..1
    return build(entry, wanted, options)


def _from_builder(name: str, supplied: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
    entry = MODELS.typed(name)
    entry.check(options)
    model = entry.load()(**entry.takes(supplied), **options)
    if not isinstance(model, nn.Module):
        raise ConfigError(f"the builder '{name}' gave a {type(model).__name__}, not an nn.Module")
    return model


def _takes(model: nn.Module, input_shape: tuple[int, int, int]) -> bool:
    try:
        output_shape(model, (2, *input_shape))
    except (RuntimeError, ValueError, AssertionError, IndexError):
        return False
    return True


def _check_count(key: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{key} is a whole number of at least 1, not {value!r}")


def _sides(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ConfigError(f"input_size is a side in px or (height, width), not {size!r}")
    return sides


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("model", seed))
        yield
