"""MixUp and CutMix of a batch: inputs that can be mixed, with targets that can."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torchvision.transforms import v2

from scirs_neural.core.errors import ConfigError
from scirs_neural.core.seeding import stream_seed
from scirs_neural.data.context import Batch, Context

if TYPE_CHECKING:
    from scirs_neural.data.pipeline import Pipeline

Mix = Callable[[Batch, Context], Batch]


def build_mix(mixup: float, cutmix: float, pipeline: Pipeline) -> Mix | None:
    """MixUp, CutMix, or for each batch one of the two; None if both are off.

    The draw is a function of (seed, epoch, step, rank). Class numbers become rows of probabilities.

    Args:
        mixup: alpha of MixUp's Beta distribution; 0 is off.
        cutmix: alpha of CutMix's; 0 is off.
        pipeline: whose batches are mixed.

    Raises:
        ConfigError: the data is not one input that can be mixed with one target of classes.

    Source: Zhang et al. 2018 (arXiv:1710.09412), Yun et al. 2019 (arXiv:1905.04899); torchvision's code.
    """
    if not mixup and not cutmix:
        return None
    setting = "mixup" if mixup else "cutmix"
    inputs, targets = list(pipeline.inputs.values()), list(pipeline.targets.values())
    if len(inputs) != 1 or not inputs[0].mixable:
        shown = ", ".join(f"{held.name} ({held.kind})" for held in inputs) or "nothing"
        raise ConfigError(f"data.{setting} mixes images, and the inputs are {shown}", fix="leave it out")
    if len(targets) != 1 or not targets[0].mixable:
        shown = ", ".join(f"{held.name} ({held.kind})" for held in targets) or "none"
        raise ConfigError(f"data.{setting} mixes classes, and the targets are {shown}")
    name, target = inputs[0].name, targets[0].name
    num_classes = targets[0].model_arguments()["num_classes"]
    kinds = ((v2.MixUp, mixup), (v2.CutMix, cutmix))
    chosen = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds if alpha > 0]
    transform = v2.RandomChoice(chosen) if len(chosen) > 1 else chosen[0]

    def mix(batch: Batch, ctx: Context) -> Batch:
        from scirs_neural.data.image.augment import seeded

        with seeded() as reseed, torch.no_grad():
            reseed(stream_seed("mix", ctx.seed, ctx.epoch, ctx.step, ctx.rank))
            mixed, labels = transform(batch[name], batch[target])
        return {**batch, name: mixed, target: labels}

    return mix
