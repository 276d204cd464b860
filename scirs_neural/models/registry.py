"""The table of networks. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import Registry
from scirs_neural.models.catalog import catalogue

MODELS = Registry(
    "model", supplied=("num_classes", "in_channels", "input_size", "num_features", "vocab_size", "padding_idx")
)
for _entry in catalogue().values():
    _takes = ("image", "table") if _entry.name == "mlp" else ("image",)
    MODELS.add(_entry.name, _entry.builder, summary=_entry.summary, options=_entry.options, traits={"inputs": _takes})

# Small networks of ours: name, import string, one line, options, and the kind of field that the network takes; what the
# data says of that (``in_channels``, ``vocab_size``, ``num_classes``, …) is no option.
for _name, _target, _summary, _options, _kind in (
    ("tabular_mlp", "scirs_neural.models.table.tabular_mlp:TabularMLP",
     "A multi-layer perceptron on rows of a table that learns a vector for each category",
     {"category_sizes": (), "embed_dim": None, "hidden": (256, 128), "dropout": 0.0}, "table"),
    ("unet", "scirs_neural.builder.unet:unet",
     "U-Net: Convolutional Networks for Biomedical Image Segmentation (2015)",
     {"width": 32, "depth": 4, "dropout": 0.0}, "image"),
    ("bag_of_embeddings", "scirs_neural.models.text.small:BagOfEmbeddings",
     "the mean of the tokens' embeddings, and a perceptron on it (fastText, 2017)",
     {"embed_dim": 64, "hidden": (64,), "dropout": 0.2}, "text"),
    ("text_lstm", "scirs_neural.models.text.small:TextLSTM",
     "a bidirectional LSTM over the tokens, pooled over time (InferSent, 2017)",
     {"embed_dim": 64, "hidden_size": 64, "num_layers": 1, "pooling": "max", "dropout": 0.2}, "text"),
):  # fmt: skip
    MODELS.add(_name, _target, summary=_summary, options=_options, traits={"inputs": (_kind,)})


def list_models(
    pattern: str = "*",
    *,
    task: str | None = None,
    max_params: int | None = None,
    has_weights: bool | None = None,
    family: str | None = None,
) -> list[str]:
    """The names of the networks that match, sorted. Needs no torch.

    Networks that a user registered are found by pattern alone: nothing else is known of them.

    Args:
        pattern: shell-style, such as "resnet*".
        task: the task that the network's own head is for, such as "image_classification".
        max_params: parameters at most, counted with the network's own head.
        has_weights: whether there are published weights.
        family: such as "resnet" or "efficientnet_v2".

    Example:
        >>> list_models("resnet*", max_params=30_000_000)
        ['resnet18', 'resnet34', 'resnet50']
    """
    known = catalogue()

    def fits(name: str) -> bool:
        entry = known.get(name)
        if entry is None:
            return task is None and max_params is None and not has_weights and family is None
        return (
            (task is None or entry.task == task)
            and (max_params is None or entry.num_params <= max_params)
            and (has_weights is None or bool(entry.weights) == has_weights)
            and (family is None or entry.family == family)
        )

    return [name for name in MODELS.names(pattern) if fits(name)]
