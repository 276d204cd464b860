"""Every loss written here compiles without graph breaks (CTC aside: torch's own operator does not)."""

import pytest
import torch

from scirs_neural.losses import LOSSES, create_loss

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 1, 0, 2])
PAIRS = LOGITS.reshape(3, 2, 3)
CASES = {
    "rmse": (LOGITS, LOGITS.flip(0)),
    "weighted": (LOGITS, LOGITS.flip(0)),
    "focal": (LOGITS, LABELS),
    "focal_binary": (LOGITS, (LOGITS > 0).float()),
    "kl_temperature": (LOGITS, LOGITS.flip(0)),
    "triplet": (LOGITS, LABELS),
    "contrastive": (PAIRS, torch.tensor([0, 1, 1])),
    "nt_xent": (LOGITS, LABELS),
    "info_nce": (PAIRS, None),
    "supervised_contrastive": (LOGITS, LABELS),
    "dice": (LOGITS, LABELS),
    "tversky": (LOGITS, LABELS),
    "lovasz": (LOGITS, LABELS),
}


def test_all_are_here():
    ours = {name for name in LOSSES if LOSSES.get(name).__module__.startswith("scirs_neural")}
    assert ours - set(CASES) == {"ctc_sequence"}


@pytest.mark.parametrize("name", CASES)
def test_compiles_whole(name):
    loss = create_loss(name)
    assert torch.allclose(torch.compile(loss, fullgraph=True, backend="eager")(*CASES[name]), loss(*CASES[name]))
