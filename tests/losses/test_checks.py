"""A batch that does not fit its loss is refused in words."""

import pytest
import torch
from torch import nn

from scirs_neural.core.errors import ConfigError, DataError, ShapeError
from scirs_neural.losses import LOSSES, check_batch, create_loss

INT = torch.tensor([0, 1, 2, 1])
LOGITS = torch.zeros(4, 3)

FAULTS = [
    ("cross_entropy", LOGITS, torch.tensor([0, 1, 3, 1]), DataError, "a label is 3, but the model has 3 outputs"),
    ("cross_entropy", LOGITS, torch.tensor([0, -1, 2, 1]), DataError, "a label is -1"),
    ("cross_entropy", LOGITS, INT.float(), ConfigError, "labels of dtype torch.float32"),
    ("cross_entropy", LOGITS, torch.zeros(4, 3, dtype=torch.long), ShapeError, "expected (4,)"),
    ("cross_entropy", LOGITS, torch.zeros(4, 2), ShapeError, "expected (4, 3)"),
    ("cross_entropy", LOGITS, torch.full((4, 3), 1.5), DataError, "a target is 1.5"),
    ("cross_entropy", LOGITS, INT[:3], ShapeError, "the target has shape (3,), expected (4,)"),
    ("focal", LOGITS, torch.tensor([0, 1, 5, 1]), DataError, "a label is 5"),
    ("focal", LOGITS, INT > 0, ConfigError, "dtype torch.bool"),
    ("nll", LOGITS, INT + 1, DataError, "a label is 3"),
    ("bce_with_logits", LOGITS, torch.zeros(4, 3, dtype=torch.long), ConfigError, "target.float()"),
    ("bce_with_logits", LOGITS, torch.full((4, 3), 2.0), DataError, "a target is 2"),
    ("bce_with_logits", LOGITS, torch.zeros(4), ShapeError, "expected (4, 3)"),
    ("mse", torch.zeros(4, 1), torch.zeros(4), ShapeError, "torch would broadcast"),
    ("mse", torch.zeros(2), torch.tensor([0.0, float("nan")]), DataError, "NaN"),
    ("dice", torch.zeros(1, 2, 4), torch.tensor([[0, 1, 2, 0]]), DataError, "a label is 2"),
]


@pytest.mark.parametrize(("name", "input", "target", "kind", "message"), FAULTS)
def test_faults(name, input, target, kind, message):
    with pytest.raises(kind) as caught:
        check_batch(create_loss(name), input, target, where="the first batch")
    assert message in caught.value.render()
    assert "the first batch" in caught.value.render()
    with pytest.raises(kind):  # a sum checks its terms
        check_batch(create_loss([name]), input, target)


GOOD = [
    ("cross_entropy", LOGITS, torch.tensor([0, -100, 2, 1])),
    ("cross_entropy", LOGITS, torch.full((4, 3), 1 / 3)),
    ("cross_entropy", LOGITS[0], INT[0]),
    ("cross_entropy", torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)),
    ("bce_with_logits", LOGITS, torch.ones(4, 3)),
    ("dice", LOGITS, INT),
    ("weighted", LOGITS, torch.full((4, 3), float("nan"))),
    ("triplet", LOGITS, INT),
    ("mse", torch.zeros(0), torch.zeros(0)),
]


@pytest.mark.parametrize(("name", "input", "target"), GOOD)
def test_good_batches_pass(name, input, target):
    check_batch(create_loss(name), input, target)


def test_class_weights_of_the_wrong_number():
    with pytest.raises(ConfigError, match="2 class weights for 3 classes"):
        check_batch(nn.CrossEntropyLoss(weight=torch.ones(2)), LOGITS, INT)


WRONG_SHAPES = {
    "rmse": (torch.zeros(3, 1), torch.zeros(3)),
    "focal": (LOGITS, INT[:2]),
    "focal_binary": (LOGITS, torch.zeros(4)),
    "kl_temperature": (LOGITS, LOGITS[:2]),
    "contrastive": (LOGITS, INT),
    "nt_xent": (LOGITS, INT[:1]),
    "supervised_contrastive": (LOGITS, None),
    "info_nce": (LOGITS, None),
    "triplet": (LOGITS, INT[:2]),
    "ctc_sequence": (LOGITS, INT),
    "dice": (LOGITS, INT[:2]),
    "tversky": (LOGITS, LOGITS),
    "lovasz": (LOGITS, INT[:2]),
}


def test_every_loss_written_here_refuses_wrong_shapes():
    ours = {n for n in LOSSES if LOSSES.get(n).__module__.startswith("scirs_neural")} - {"weighted"}
    assert set(WRONG_SHAPES) == ours
    for name, (input, target) in WRONG_SHAPES.items():
        with pytest.raises(ShapeError) as caught:
            create_loss(name)(input, target)
        assert f"'{'tversky' if name == 'dice' else name}'" in str(caught.value)


def test_own_losses_refuse_float_labels():
    with pytest.raises(ConfigError, match="dtype"):
        create_loss("focal")(LOGITS, INT.float())
