"""The table of losses. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import Registry

LOSSES = Registry(
    "loss",
    plural="losses",
    supplied=("size_average", "reduce"),  # torch has given them up
    positional=lambda target: 0 if isinstance(target, type) else 2,  # a function is called with input and target
)

_MEAN = {"reduction": "mean"}

# name: (import string, one line, options). torch's deprecated `size_average` and `reduce` are left out.
_TABLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    # regression
    "mse": ("torch.nn:MSELoss", "mean squared error", _MEAN),
    "l1": ("torch.nn:L1Loss", "mean absolute error", _MEAN),
    "mae": ("torch.nn:L1Loss", "mean absolute error, by its other name", _MEAN),
    "huber": ("torch.nn:HuberLoss", "squared near zero, absolute beyond delta", {**_MEAN, "delta": 1.0}),
    "smooth_l1": ("torch.nn:SmoothL1Loss", "Huber's loss over beta", {**_MEAN, "beta": 1.0}),
    "rmse": ("scirs_neural.losses.reduction:RMSELoss", "root of the mean squared error", {}),
    "poisson_nll": (
        "torch.nn:PoissonNLLLoss", "counts, Poisson distributed",
        {"log_input": True, "full": False, "eps": 1e-8, **_MEAN},
    ),
    "gaussian_nll": (
        "torch.nn:GaussianNLLLoss", "loss(mean, target, variance): a Gaussian whose variance is predicted too",
        {"full": False, "eps": 1e-6, **_MEAN},
    ),
    "weighted": (
        "scirs_neural.losses.reduction:WeightedLoss",
        "any loss with weights and masks: loss(input, target, weight=, mask=)",
        {"loss": "mse", **_MEAN, "nan_is_missing": False},
    ),
    # classification
    "cross_entropy": (
        "torch.nn:CrossEntropyLoss", "logits against class indices or class probabilities",
        {"weight": None, "ignore_index": -100, **_MEAN, "label_smoothing": 0.0},
    ),
    "nll": (
        "torch.nn:NLLLoss", "log-probabilities against class indices", {"weight": None, "ignore_index": -100, **_MEAN},
    ),
    "bce": ("torch.nn:BCELoss", "probabilities against 0/1", {"weight": None, **_MEAN}),
    "bce_with_logits": (
        "torch.nn:BCEWithLogitsLoss", "logits against 0/1: several labels a sample",
        {"weight": None, **_MEAN, "pos_weight": None},
    ),
    "focal": (
        "scirs_neural.losses.focal:FocalLoss", "cross-entropy that looks away from easy samples",
        {"gamma": 2.0, "alpha": None, "ignore_index": -100, **_MEAN},
    ),
    "focal_binary": (
        "scirs_neural.losses.focal:BinaryFocalLoss", "torchvision's sigmoid focal loss: logits against 0/1",
        {"alpha": 0.25, "gamma": 2.0, **_MEAN},
    ),
    "multi_margin": ("torch.nn:MultiMarginLoss", "multi-class hinge", {"p": 1, "margin": 1.0, "weight": None, **_MEAN}),
    "multi_label_margin": ("torch.nn:MultiLabelMarginLoss", "multi-label hinge over lists of classes", _MEAN),
    "multi_label_soft_margin": (
        "torch.nn:MultiLabelSoftMarginLoss", "multi-label one-against-all logistic loss", {"weight": None, **_MEAN},
    ),
    "soft_margin": ("torch.nn:SoftMarginLoss", "two-class logistic loss, targets -1 and 1", _MEAN),
    # distributions
    "kl_div": ("torch.nn:KLDivLoss", "log-probabilities against probabilities", {**_MEAN, "log_target": False}),
    "kl_temperature": (
        "scirs_neural.losses.distillation:KLTemperatureLoss",
        "student's logits against teacher's, softened by a temperature",
        {"temperature": 1.0, "dim": 1, "reduction": "batchmean"},
    ),
    # embeddings
    "cosine_embedding": ("torch.nn:CosineEmbeddingLoss", "loss(x1, x2, ±1): angle of pairs", {"margin": 0.0, **_MEAN}),
    "hinge_embedding": ("torch.nn:HingeEmbeddingLoss", "distances against ±1", {"margin": 1.0, **_MEAN}),
    "margin_ranking": ("torch.nn:MarginRankingLoss", "loss(x1, x2, ±1): which is greater", {"margin": 0.0, **_MEAN}),
    "triplet_margin": (
        "torch.nn:TripletMarginLoss", "loss(anchor, positive, negative)",
        {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, **_MEAN},
    ),
    "triplet_margin_with_distance": (
        "torch.nn:TripletMarginWithDistanceLoss", "loss(anchor, positive, negative) under any distance",
        {"distance_function": None, "margin": 1.0, "swap": False, **_MEAN},
    ),
    "triplet": (
        "scirs_neural.losses.triplet:TripletMiningLoss", "embeddings against labels, triplets mined in the batch",
        {"margin": 0.2, "mining": "semi_hard", "distance": "euclidean", "normalize": False},
    ),
    "contrastive": (
        "scirs_neural.losses.contrastive:ContrastiveLoss",
        "pairs: equal ones pulled together, others pushed beyond a margin", {"margin": 1.0, **_MEAN},
    ),
    "nt_xent": (
        "scirs_neural.losses.contrastive:NTXentLoss", "SimCLR's loss: each view finds its own among all others",
        {"temperature": 0.5},
    ),
    "info_nce": (
        "scirs_neural.losses.contrastive:InfoNCELoss", "two towers: each query finds its key in the batch",
        {"temperature": 0.07, "symmetric": True},
    ),
    "supervised_contrastive": (
        "scirs_neural.losses.contrastive:SupervisedContrastiveLoss",
        "embeddings against labels: each finds all of its class", {"temperature": 0.1},
    ),
    # sequences
    "ctc": (
        "torch.nn:CTCLoss", "loss(log_probs, targets, input_lengths, target_lengths), time first",
        {"blank": 0, **_MEAN, "zero_infinity": False},
    ),
    "ctc_sequence": (
        "scirs_neural.losses.ctc:CTCSequenceLoss", "CTC on logits, batch first, targets padded",
        {"blank": 0, "pad": -1, **_MEAN, "zero_infinity": True},
    ),
    # overlap of regions
    "dice": (
        "scirs_neural.losses.overlap:DiceLoss", "1 - Dice coefficient, per class",
        {"mode": "softmax", "smooth": 1.0, "per_sample": False, "ignore_index": None},
    ),
    "tversky": (
        "scirs_neural.losses.overlap:TverskyLoss", "Dice with false positives and false negatives weighed apart",
        {
            "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "mode": "softmax", "smooth": 1.0, "per_sample": False,
            "ignore_index": None,
        },
    ),
    "lovasz": (
        "scirs_neural.losses.lovasz:LovaszLoss", "convex surrogate of 1 - IoU",
        {"mode": "softmax", "classes": "present", "per_sample": False, "ignore_index": None},
    ),
}  # fmt: skip
for _name, (_target, _summary, _options) in _TABLE.items():
    LOSSES.add(_name, _target, summary=_summary, options=_options)
