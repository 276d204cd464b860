"""Semantic segmentation: a class for each pixel of a picture.

N pictures, K classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.image.spec import UNKNOWN_PIXEL
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.segmentation.predictions import BOTH, PREDICTED, TRUE, MaskPredictions
from scirs_neural.tasks.task import ALL_OTHERS, Task, without_half

if TYPE_CHECKING:
    from torch import Tensor, nn

_VIEW_PX = 96  # side of the masks that are kept to be looked at
_TINY = 1e-9  # a sum over no pixel is 0, and stays so


class _Term(NamedTuple):
    """One term of the loss: a sum over pixels, to be divided by their number, or a loss of one picture."""

    name: str
    loss: nn.Module
    weight: float
    over_pixels: bool
    class_weights: Tensor | None


class Segmentation(Task):
    """A network's logits (N, K, H, W), judged by the overlap of classes.

    Only pixels whose class is known count, in the loss and in every metric.

    Args:
        spec: one target of kind "mask".
        loss: a loss by name, with options, or a list of terms with weights. Losses over pixels (cross_entropy, focal)
            are means over the pixels of known class; losses of overlap (dice, tversky, lovasz) are computed for each
            picture, and are means over pictures.

    Raises:
        ConfigError: a loss that cannot leave out pixels.
    """

    name = "segmentation"
    predictions = MaskPredictions
    main_metric = "mean_iou"
    epoch_metrics = ("pixel_accuracy",)
    answer_settings = MappingProxyType({"mask": False})

    def __init__(self, spec: DataSpec, *, loss: Any = "auto", metrics: Sequence[str] = ()) -> None:
        super().__init__(spec, loss=loss, metrics=list(metrics))
        self.target, self.classes = next(iter(spec.targets)), list(spec.target["classes"])

    @cached_property
    def terms(self) -> list[_Term]:
        """The terms of the loss."""
        asked = self.options["loss"]
        return _terms("cross_entropy" if asked == "auto" else asked)

    def counts(self, batch: Batch) -> dict[str, float]:
        """Pixels of known class, weighted by class where the loss is; or samples."""
        target = batch[self.target]
        return {
            ALL_OTHERS: len(batch["id"]),
            **{term.name: float(_pixels(target, term)) for term in self.terms if term.over_pixels},
        }

    def losses(self, outputs: Any, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Each term by name."""
        import torch

        target = batch[self.target].long()
        logits = without_half(outputs)
        found: dict[str, Tensor] = {}
        for term in self.terms:
            loss = term.loss.to(logits)
            if term.over_pixels:
                value = loss(logits, target) / _pixels(target, term).clamp_min(_TINY)
            else:
                each = [loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(target))]
                value = torch.stack(each).mean()
            found[term.name] = term.weight * value
        return found

    def check_outputs(self, outputs: Any, batch: Batch) -> None:
        """Refuse outputs that are not a logit for each class and pixel.

        Raises:
            ShapeError: they are not.
        """
        height, width = batch[self.target].shape[1:]
        wanted, shape = (len(batch["id"]), len(self.classes), height, width), getattr(outputs, "shape", None)
        if shape is None or tuple(shape) != wanted:
            raise ShapeError(
                f"the network gives {type(outputs).__name__ if shape is None else tuple(shape[1:])} for a picture, "
                f"'{self.spec.name}' needs {wanted[1:]}", fix="a network of masks, such as model=unet",
            )  # fmt: skip

    def to_tensors(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """The likeliest class of each pixel.

        Shape: (N, K, H, W) -> mask (N, H, W) uint8.
        """
        import torch

        return {"mask": outputs.argmax(1).to(torch.uint8)}

    def to_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """The fraction of each class; and the masks themselves, if they are asked for (``answer.mask=true``)."""
        mask = self.to_tensors(outputs, batch)["mask"]
        sizes = _table(mask.new_zeros(mask.shape), mask, 1, len(self.classes))[:, 0]
        areas = (sizes.double() / mask[0].numel()).float().cpu().numpy()
        return {"areas": areas, "mask": mask.cpu().numpy()} if self.settings.get("mask") else {"areas": areas}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """Pixels by class that are true, predicted, and both; and both masks, small enough to be kept.

        Shape: true, predicted, both (N, K) int64; view (N, h, w, 2) uint8, h and w at most 96.
        """
        import torch

        classes, mask = len(self.classes), self.to_tensors(outputs, batch)["mask"]
        pairs = _table(batch[self.target], mask, classes, classes)
        found = {
            TRUE: pairs.sum(2), PREDICTED: pairs.sum(1), BOTH: pairs.diagonal(dim1=1, dim2=2),
            "view": torch.stack([_small(mask), _small(batch[self.target])], -1),
        }  # fmt: skip
        return {name: values.cpu().numpy() for name, values in found.items()}

    def header(self) -> dict[str, Any]:
        """Names of the classes."""
        return {"classes": self.classes}

    def decode(self, columns: Mapping[str, Any]) -> list[Any]:
        """The fraction of each class that occurs, largest first; with the mask's rows, if asked for.

        Example:
            >>> from scirs_neural.data.spec import DataSpec
            >>> spec = DataSpec("toy", {}, {"mask": {"kind": "mask", "classes": ["a", "b"], "values": [0, 1]}})
            >>> Segmentation(spec).decode({"areas": np.array([[0.25, 0.75]])})
            [{'areas': {'b': 0.75, 'a': 0.25}}]
        """
        answers: list[dict[str, Any]] = []
        for areas in np.asarray(columns["areas"]):
            order = [k for k in np.argsort(-areas, kind="stable").tolist() if areas[k] > 0]
            answers.append({"areas": {self.classes[k]: float(areas[k]) for k in order}})
        for answer, mask in zip(answers, columns.get("mask", ()), strict=False):
            answer["mask"] = np.asarray(mask).tolist()
        return answers


def _terms(asked: Any) -> list[_Term]:
    """The terms of what stands in ``task.loss``."""
    from scirs_neural.losses import LOSSES
    from scirs_neural.losses.composite import CompositeLoss
    from scirs_neural.losses.create import create_loss

    if isinstance(asked, Mapping):  # one loss: what it calls a weight is that of the classes
        asked = [{"name": asked.get("name"), "options": {k: v for k, v in asked.items() if k != "name"}}]
    complete: list[dict[str, Any]] = []
    over_pixels: list[bool] = []
    for each in [asked] if isinstance(asked, str) else asked:
        plain = {"name": each} if isinstance(each, str) else dict(each)
        options = LOSSES.typed(str(plain.get("name")), where="task.loss").options
        if "ignore_index" not in options:
            raise ConfigError(
                f"the loss '{plain.get('name')}' cannot leave out pixels of no known class (it has no ignore_index)",
                where="task.loss", fix="cross_entropy, focal, dice, tversky or lovasz",
            )  # fmt: skip
        over_pixels.append("reduction" in options)
        complete.append({**plain, "ignore_index": UNKNOWN_PIXEL, **({"reduction": "sum"} if over_pixels[-1] else {})})
    whole = create_loss(complete, where="task.loss")
    assert isinstance(whole, CompositeLoss)
    return [
        _Term(name, loss, weight, pixels, getattr(loss, "weight", None) if pixels else None)
        for (name, weight), loss, pixels in zip(whole.weights.items(), whole.losses, over_pixels, strict=True)
    ]


def _pixels(target: Tensor, term: _Term) -> Tensor:
    """Pixels of known class, each as often as its class counts. Shape: ()."""
    import torch

    if term.class_weights is None:
        return (target != UNKNOWN_PIXEL).sum()
    padded = torch.zeros(UNKNOWN_PIXEL + 1, dtype=torch.float64, device=target.device)
    padded[: len(term.class_weights)] = term.class_weights.to(padded)
    return padded[target.long()].sum()


def _small(mask: Tensor) -> Tensor:
    """Every so many-th pixel of masks. Shape: (N, H, W) -> (N, h, w)."""
    step = -(-max(mask.shape[1:]) // _VIEW_PX)
    return mask[:, ::step, ::step]


def _table(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """How many pixels of each picture have each pair of classes; those whose row is unknown are left out.

    Shape: twice (N, H, W) -> (N, num_rows, num_columns) int64.
    """
    import torch

    n, known = len(rows), rows != UNKNOWN_PIXEL
    picture = torch.arange(n, device=rows.device).view(-1, 1, 1).expand_as(rows)
    place = ((picture * num_rows + rows) * num_columns + columns.long())[known]
    return torch.bincount(place, minlength=n * num_rows * num_columns).view(n, num_rows, num_columns)
