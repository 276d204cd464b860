"""Segmentation: loss and counts against torch, overlap against scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix, jaccard_score
from torchmetrics.segmentation import MeanIoU

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data.context import Context
from scirs_neural.data.mask.pipeline import ImageMaskPipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.tasks.segmentation.predictions import MaskPredictions
from scirs_neural.tasks.segmentation.task import Segmentation

CLASSES = ["ground", "thing", "rare"]
PICTURE = {
    "kind": "image", "version": 1, "channels": 1, "size": [6, 7], "resize": None, "interpolation": "bilinear",
    "mean": [0.5], "std": [0.5],
}  # fmt: skip
SPEC = DataSpec(
    "toy", {"image": PICTURE}, {"mask": {"kind": "mask", "version": 1, "classes": CLASSES, "values": [0, 1, 2]}},
    pipeline="image_mask",
)  # fmt: skip
CTX = Context("train")
LOSSES = [
    "auto",
    "focal",
    "dice",
    "lovasz",
    {"name": "cross_entropy", "weight": [1.0, 2.0, 5.0], "label_smoothing": 0.1},
    [{"name": "cross_entropy"}, {"name": "dice", "weight": 0.5, "as": "overlap"}],
]


@pytest.fixture
def batch():
    masks = torch.randint(0, 3, (5, 6, 7))
    masks[torch.rand(masks.shape) < 0.3] = 255
    masks[3] = 255  # nothing is known of this one
    masks[4][masks[4] == 2] = 0
    return {"id": list("abcde"), "image": torch.randn(5, 1, 6, 7), "mask": masks.to(torch.uint8)}


@pytest.fixture
def net():
    return torch.nn.Conv2d(1, 3, 3, padding=1).double()


def test_the_loss_is_torchs_over_the_known_pixels(batch):
    outputs = torch.randn(5, 3, 6, 7)
    target = batch["mask"].long()
    found = Segmentation(SPEC).losses(outputs, batch, CTX)
    torch.testing.assert_close(found["cross_entropy"], F.cross_entropy(outputs, target, ignore_index=255))
    weighted = {"name": "cross_entropy", "weight": [1.0, 2.0, 5.0], "label_smoothing": 0.1}
    expected = F.cross_entropy(outputs, target, torch.tensor(weighted["weight"]), ignore_index=255, label_smoothing=0.1)
    found = Segmentation(SPEC, loss=weighted).losses(outputs, batch, CTX)
    torch.testing.assert_close(found["cross_entropy"], expected.double())


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("parts", [2, 5])
def test_the_gradient_does_not_depend_on_how_a_batch_is_cut(batch, net, loss, parts):
    task = Segmentation(SPEC, loss=loss)

    def gradient(pieces):
        net.zero_grad()
        totals = task.counts(batch)
        for piece in pieces:
            counts = task.counts(piece)
            terms = task.losses(net(piece["image"].double()), piece, CTX)
            sum(
                value * counts.get(t, counts["*"]) / totals.get(t, totals["*"]) for t, value in terms.items()
            ).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    whole = gradient([batch])
    assert whole.abs().sum() > 0
    cut = gradient(ImageMaskPipeline(SPEC).split(batch, parts))
    torch.testing.assert_close(cut, whole, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_pictures_of_which_nothing_is_known_cost_nothing(batch, loss):
    task = Segmentation(SPEC, loss=loss)
    unknown = {**batch, "mask": torch.full_like(batch["mask"], 255)}
    outputs = torch.randn(5, 3, 6, 7, requires_grad=True)
    total = sum(task.losses(outputs, unknown, CTX).values())
    total.backward()
    assert total == 0
    assert not outputs.grad.any()


@pytest.mark.parametrize("loss", ["mse", "triplet_margin", [{"name": "cross_entropy"}, {"name": "kl_div"}]], ids=str)
def test_losses_that_cannot_leave_out_pixels_are_refused(batch, loss):
    with pytest.raises(ConfigError, match="cannot leave out pixels"):
        Segmentation(SPEC, loss=loss).counts(batch)


def test_terms_of_one_loss_have_different_names():
    terms = Segmentation(SPEC, loss=["cross_entropy", "cross_entropy"]).terms
    assert [term.name for term in terms] == ["cross_entropy", "cross_entropy_2"]


def test_another_size_of_logits_is_refused(batch):
    task = Segmentation(SPEC)
    task.check_outputs(torch.empty(5, 3, 6, 7, device="meta"), batch)
    for wrong in (torch.empty(5, 3, 3, 3), torch.empty(5, 2, 6, 7), {"out": 1}):
        with pytest.raises(ShapeError, match=r"needs \(3, 6, 7\)"):
            task.check_outputs(wrong, batch)


def collected(batch, outputs):
    task = Segmentation(SPEC)
    columns = task.to_arrays(outputs, batch) | task.target_arrays(outputs, batch)
    return MaskPredictions(batch["id"], columns, task.header())


def test_counts_and_overlap_are_scikit_learns(batch):
    outputs = torch.randn(5, 3, 6, 7)
    pred = collected(batch, outputs)
    assert "mask" not in pred.columns  # statistics stand for it
    answer, target = outputs.argmax(1).numpy(), batch["mask"].numpy()
    for row, (said, true) in enumerate(zip(answer, target, strict=True)):
        matrix = confusion_matrix(true[true != 255], said[true != 255], labels=[0, 1, 2]) if (true != 255).any() else 0
        matrix = np.broadcast_to(matrix, (3, 3))
        for name, expected in (("true", matrix.sum(1)), ("predicted", matrix.sum(0)), ("both", matrix.diagonal())):
            assert np.array_equal(pred.columns[name][row], expected)
    known = target != 255
    score = pred.score()
    assert score["mean_iou"] == pytest.approx(jaccard_score(target[known], answer[known], average="macro"))
    each = jaccard_score(target[known], answer[known], average=None)
    assert [score[f"iou/{name}"] for name in CLASSES] == pytest.approx(each.tolist())
    assert score["pixel_accuracy"] == pytest.approx((answer == target)[known].mean())
    weights = np.array([[2.0, 0, 3, 1, 1]])
    again = np.repeat(np.arange(5), weights[0].astype(int))
    drawn = jaccard_score(target[again][known[again]], answer[again][known[again]], average="macro")
    assert pred.score(weights)["mean_iou"].tolist() == pytest.approx([drawn])


def test_the_overlap_of_one_picture_is_torchmetrics(batch):
    outputs = torch.randn(5, 3, 6, 7)
    whole = {**batch, "mask": torch.randint(0, 3, (5, 6, 7), dtype=torch.uint8)}
    metric = MeanIoU(num_classes=3, input_format="index")
    for each, (true, said) in zip(
        collected(whole, outputs).per_sample()["mean_iou"],
        zip(whole["mask"], outputs.argmax(1), strict=True),
        strict=True,
    ):
        assert each == pytest.approx(float(metric(said[None], true[None].long())), abs=1e-6)
        metric.reset()


def test_a_class_that_is_nowhere_has_no_overlap():
    columns = {"true": np.array([[4, 2, 0]]), "predicted": np.array([[4, 0, 0]]), "both": np.array([[4, 0, 0]])}
    pred = MaskPredictions(["a"], columns, {"classes": CLASSES})
    assert pred.score()["mean_iou"] == 0.5
    assert np.isnan(pred.score()["iou/rare"])
    assert pred.describe()["classes"][2]["iou"] is None


def test_answers_are_areas_and_the_mask(batch):
    task = Segmentation(SPEC)
    outputs = torch.zeros(1, 3, 6, 7)
    outputs[:, 1, :, :] = 1
    outputs[:, 2, 0, :] = 2
    one = {"id": ["a"], "image": batch["image"][:1]}
    assert "mask" not in task.decode(task.to_arrays(outputs, one))[0]
    task.use_settings({"mask": True})
    (answer,) = task.decode(task.to_arrays(outputs, one))
    assert answer["areas"] == pytest.approx({"thing": 5 / 6, "rare": 1 / 6})
    assert answer["mask"] == [[2] * 7] + [[1] * 7] * 5
    (graph,) = task.graphs(torch.nn.Conv2d(1, 3, 1), batch).values()
    assert (list(graph.inputs), graph.outputs) == (["image"], ["mask"])
    assert graph.module(batch["image"])[0].shape == (5, 6, 7)
