"""What each family of torchvision's networks has in common: its paper, and where its stem and head are. No torch here.

A `Layout` says how a network of the family is taken apart: the path of its first convolution (the stem) and of its last
layer (the head), how torchvision draws the stem's first weights, which keyword arguments the builder takes beside the
number of classes, and what a stem for small inputs looks like. Two families that are built alike share one.

Small stems. These networks were designed for 224 px and shrink the picture 32-fold; a 32 px picture is one pixel when
it reaches the head. ``SMALL`` tables undo the first two halvings (one, for patch embeddings: half the patch), so that
32 px are seen as the paper's network sees 128. `SMALL_BY_DEFAULT` holds the families in which ``stem="auto"`` does so
for inputs of `SMALL_INPUT` px and less. Measured (docs/defaults.md): digits scaled up to 32 px through the standard
stem beat digits of 8 px through the small one at the same cost; the small stem at 32 px costs 16 times as much.

`OWN_DEFAULTS` are options whose default here is not torchvision's, because training from scratch needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SMALL_INPUT = 16  # px; the longer side up to which stem="auto" takes the small stem

# Families for which that reaches further: transformers and ConvNeXt would see only a few patches, and the oldest
# networks cannot take anything smaller at all.
SMALL_INPUT_OF: Mapping[str, int] = dict.fromkeys(("alexnet", "convnext", "inception", "swin", "swin_v2", "vit"), 64)

# Residual branches that start at zero (Goyal et al. 2017, section 5.1). Measured on digits, ResNet-50, 8 epochs:
# 85.3 % without, 96.4 % with (8 px). Loaded weights are not touched by it.
OWN_DEFAULTS: Mapping[str, Any] = {"zero_init_residual": True}


@dataclass(frozen=True)
class SmallStem:
    """The changes that make a stem for small inputs.

    Args:
        conv: arguments of the stem's convolution that change; the kernel is then a new one.
        unstride: how many of the first convolutions with a stride get stride 1 (kernels stay as they are).
        drop_pools: how many of the first down-sampling max-pools are taken out.
        patches_per_side: for a Vision Transformer, the patch size is the input's side over this.
    """

    conv: Mapping[str, int] = field(default_factory=dict)
    unstride: int = 0
    drop_pools: int = 0
    patches_per_side: int | None = None


@dataclass(frozen=True)
class Layout:
    """How the networks of one build are taken apart.

    Args:
        stem: path of the first convolution.
        head: path of the layer that gives the logits.
        init: function of ``torch.nn.init`` and its arguments for the stem's kernel; None is the layer's own default.
        options: keyword arguments that a user may set: torchvision's own, and ``patch_size`` of Vision Transformers,
            which torchvision fixes by name and `build` changes.
        small: the stem for small inputs, if there is one.
        size_option: the builder's argument that takes the input's size, if it is built for one size.
        aux: paths of auxiliary classifiers; they are left out, so that training sees plain logits.
        renames: (pattern, replacement) for keys of published files that torchvision's modules name otherwise.
    """

    stem: str
    head: str
    init: tuple[str, Mapping[str, Any]] | None = None
    options: tuple[str, ...] = ()
    small: SmallStem | None = None
    size_option: str | None = None
    aux: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Family:
    """A line of networks that were published together."""

    title: str
    paper: str
    year: int
    layout: Layout


_FAN_OUT = ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"})
_THREE = {"kernel_size": 3, "stride": 1, "padding": 1}
_TWO = {"kernel_size": 2, "stride": 2}

_RESNET = Layout(
    "conv1", "fc", _FAN_OUT, ("zero_init_residual", "replace_stride_with_dilation"),
    SmallStem(conv=_THREE, drop_pools=1),
)  # fmt: skip
_DENSENET = Layout(
    "features.conv0", "classifier", ("kaiming_normal_", {}), ("drop_rate", "memory_efficient"),
    SmallStem(conv=_THREE, drop_pools=1), renames=((r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2"),),
)  # fmt: skip
_EFFICIENTNET = Layout(
    "features.0.0", "classifier.1", ("kaiming_normal_", {"mode": "fan_out"}), ("dropout", "stochastic_depth_prob"),
    SmallStem(unstride=2),
)  # fmt: skip
_CONVNEXT = Layout(
    "features.0.0", "classifier.2", ("trunc_normal_", {"std": 0.02}), ("stochastic_depth_prob", "layer_scale"),
    SmallStem(conv=_TWO),
)  # fmt: skip
_VIT = Layout(
    "conv_proj", "heads.head", ("trunc_normal_", {"std": "fan_in"}), ("dropout", "attention_dropout", "patch_size"),
    SmallStem(patches_per_side=8), size_option="image_size",
)  # fmt: skip
_SWIN = Layout("features.0.0", "head", None, ("dropout", "attention_dropout"), SmallStem(conv=_TWO))
_MAXVIT = Layout(
    "stem.0.0", "classifier.5", ("normal_", {"std": 0.02}), ("mlp_dropout", "attention_dropout"),
    size_option="input_size",
)  # fmt: skip
_MOBILENET_V2 = Layout(
    "features.0.0", "classifier.1", ("kaiming_normal_", {"mode": "fan_out"}), ("width_mult", "dropout"),
    SmallStem(unstride=2),
)  # fmt: skip
_MOBILENET_V3 = Layout(
    "features.0.0", "classifier.3", ("kaiming_normal_", {"mode": "fan_out"}), ("width_mult", "dropout"),
    SmallStem(unstride=2),
)  # fmt: skip
_MNASNET = Layout("layers.0", "classifier.1", _FAN_OUT, ("dropout",), SmallStem(unstride=2))
_REGNET = Layout("stem.0", "fc", _FAN_OUT, (), SmallStem(unstride=3))  # the stem, and both branches of the first block
_SHUFFLENET = Layout("conv1.0", "fc", None, (), SmallStem(conv=_THREE, drop_pools=1))
_SQUEEZENET = Layout(
    "features.0", "classifier.1", ("kaiming_uniform_", {}), ("dropout",), SmallStem(conv=_THREE, drop_pools=1),
)  # fmt: skip
_ALEXNET = Layout("features.0", "classifier.6", None, ("dropout",), SmallStem(conv=_THREE))
_VGG = Layout("features.0", "classifier.6", _FAN_OUT, ("dropout",), SmallStem(drop_pools=2))
_GOOGLENET = Layout(
    "conv1.conv", "fc", ("trunc_normal_", {"std": 0.01, "a": -2.0, "b": 2.0}), ("dropout", "transform_input"),
    SmallStem(conv=_THREE, drop_pools=1), aux=("aux1", "aux2"),
)  # fmt: skip
_INCEPTION = Layout(
    "Conv2d_1a_3x3.conv", "fc", ("trunc_normal_", {"std": 0.1, "a": -2.0, "b": 2.0}), ("dropout", "transform_input"),
    SmallStem(unstride=1, drop_pools=1), aux=("AuxLogits",),
)  # fmt: skip

FAMILIES: dict[str, Family] = {
    "alexnet": Family(
        "One weird trick for parallelizing convolutional neural networks", "arXiv:1404.5997", 2014, _ALEXNET,
    ),
    "convnext": Family("A ConvNet for the 2020s", "arXiv:2201.03545", 2022, _CONVNEXT),
    "densenet": Family("Densely Connected Convolutional Networks", "arXiv:1608.06993", 2016, _DENSENET),
    "efficientnet": Family(
        "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", "arXiv:1905.11946", 2019,
        _EFFICIENTNET,
    ),
    "efficientnet_v2": Family(
        "EfficientNetV2: Smaller Models and Faster Training", "arXiv:2104.00298", 2021, _EFFICIENTNET,
    ),
    "googlenet": Family("Going Deeper with Convolutions", "arXiv:1409.4842", 2014, _GOOGLENET),
    "inception": Family(
        "Rethinking the Inception Architecture for Computer Vision", "arXiv:1512.00567", 2015, _INCEPTION,
    ),
    "maxvit": Family("MaxViT: Multi-Axis Vision Transformer", "arXiv:2204.01697", 2022, _MAXVIT),
    "mnasnet": Family(
        "MnasNet: Platform-Aware Neural Architecture Search for Mobile", "arXiv:1807.11626", 2018, _MNASNET,
    ),
    "mobilenet_v2": Family(
        "MobileNetV2: Inverted Residuals and Linear Bottlenecks", "arXiv:1801.04381", 2018, _MOBILENET_V2,
    ),
    "mobilenet_v3": Family("Searching for MobileNetV3", "arXiv:1905.02244", 2019, _MOBILENET_V3),
    "regnet": Family("Designing Network Design Spaces", "arXiv:2003.13678", 2020, _REGNET),
    "resnet": Family("Deep Residual Learning for Image Recognition", "arXiv:1512.03385", 2015, _RESNET),
    "resnext": Family(
        "Aggregated Residual Transformations for Deep Neural Networks", "arXiv:1611.05431", 2016, _RESNET,
    ),
    "shufflenet_v2": Family(
        "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", "arXiv:1807.11164", 2018,
        _SHUFFLENET,
    ),
    "squeezenet": Family(
        "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", "arXiv:1602.07360", 2016,
        _SQUEEZENET,
    ),
    "swin": Family(
        "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", "arXiv:2103.14030", 2021, _SWIN,
    ),
    "swin_v2": Family("Swin Transformer V2: Scaling Up Capacity and Resolution", "arXiv:2111.09883", 2021, _SWIN),
    "vgg": Family("Very Deep Convolutional Networks for Large-Scale Image Recognition", "arXiv:1409.1556", 2014, _VGG),
    "vit": Family(
        "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", "arXiv:2010.11929", 2020, _VIT,
    ),
    "wide_resnet": Family("Wide Residual Networks", "arXiv:1605.07146", 2016, _RESNET),
}  # fmt: skip

SMALL_BY_DEFAULT: frozenset[str] = frozenset(name for name, family in FAMILIES.items() if family.layout.small)


def family_of(model: str) -> str:
    """The family of one of torchvision's names: the longest one that the name begins with.

    Example:
        >>> family_of("resnet50"), family_of("efficientnet_v2_s"), family_of("swin_t")
        ('resnet', 'efficientnet_v2', 'swin')
    """
    return max((name for name in FAMILIES if model.startswith(name)), key=len)
