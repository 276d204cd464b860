"""CTC and its decoders against torch and against brute force over every alignment."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.losses import create_loss, ctc_beam_decode, ctc_greedy_decode

T, C = 4, 3


def collapse(path, blank):
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def all_texts(probs, blank):
    """Probability of every text: the sum over the alignments that collapse to it."""
    texts = {}
    for path in itertools.product(range(probs.shape[1]), repeat=probs.shape[0]):
        p = math.prod(probs[t, label].item() for t, label in enumerate(path))
        text = collapse(path, blank)
        texts[text] = texts.get(text, 0.0) + p
    return texts


@pytest.fixture(scope="module")
def logits():
    return torch.randn(3, T, C, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.feature(50)
@pytest.mark.parametrize("blank", [0, 2])
def test_loss_equals_brute_force_over_alignments(logits, blank):
    texts = all_texts(logits[0].softmax(-1), blank)
    loss = create_loss("ctc_sequence", blank=blank, reduction="sum")
    assert sum(texts.values()) == pytest.approx(1.0)
    for text, p in texts.items():
        target = torch.tensor([[*text, -1, -1]])
        assert loss(logits[:1], target).item() == pytest.approx(-math.log(p), rel=1e-10)


@pytest.mark.feature(50)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_equals_torchs(logits, reduction):
    target = torch.tensor([[1, 2, -1], [2, -1, -1], [1, 1, -1]])
    lengths = torch.tensor([4, 2, 3])
    x = logits.clone().requires_grad_()
    ours = create_loss("ctc_sequence", reduction=reduction)(x, target, lengths)
    flat = torch.tensor([1, 2, 2, 1, 1])
    y = logits.clone().requires_grad_()
    torchs = create_loss("ctc", reduction=reduction)
    ref = torchs(F.log_softmax(y, -1).transpose(0, 1), flat, lengths, torch.tensor([2, 1, 2]))
    assert torch.allclose(ours, ref, rtol=1e-12)
    ours.sum().backward()
    ref.sum().backward()
    assert torch.allclose(x.grad, y.grad, rtol=1e-10, atol=1e-14)


def test_gradient(logits):
    target = torch.tensor([[1, 2, 1], [2, -1, -1], [-1, -1, -1]])
    loss = create_loss("ctc_sequence", reduction="sum")
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.clone().requires_grad_())


def test_a_target_that_does_not_fit_counts_nothing(logits):
    x = logits[:1].clone().requires_grad_()
    loss = create_loss("ctc_sequence")(x, torch.tensor([[1, 1, 1, 1]]))
    loss.backward()
    assert loss == 0
    assert (x.grad == 0).all()


@pytest.mark.feature(50)
@pytest.mark.parametrize("blank", [0, 2])
def test_wide_beam_search_is_exact(logits, blank):
    for one, found in zip(logits, ctc_beam_decode(logits, blank=blank, beam_width=500, top=500), strict=True):
        texts = all_texts(one.softmax(-1), blank)
        assert len(found) == len(texts)
        assert all(log_p == pytest.approx(math.log(texts[tuple(text)]), rel=1e-9) for text, log_p in found)
        assert found[0][1] == max(log_p for _, log_p in found)


@pytest.mark.feature(50)
def test_greedy_is_the_best_path(logits):
    for blank in (0, 2):
        paths = logits.argmax(-1).tolist()
        assert ctc_greedy_decode(logits, blank=blank) == [list(collapse(path, blank)) for path in paths]
    assert ctc_greedy_decode(logits, torch.tensor([0, 1, 4]))[0] == []


def test_lengths_cut_the_beam_too(logits):
    short = ctc_beam_decode(logits, torch.tensor([2, 4, 0]), beam_width=100)
    assert short[0][0] == ctc_beam_decode(logits[:1, :2], beam_width=100)[0][0]
    assert short[2] == [([], 0.0)]


def test_errors(logits):
    with pytest.raises(ShapeError, match="expected"):
        ctc_greedy_decode(logits[0])
    with pytest.raises(ConfigError, match="beam_width=0"):
        ctc_beam_decode(logits, beam_width=0)
