"""Text metrics equal sacrebleu's on fixed sentences, and cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from scirs_neural.metrics import METRICS

# Sentences of a public-domain book (Carroll 1865) with translation-like changes.
REFERENCES = [
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    "There was nothing so very remarkable in that; nor did Alice think it so very much out of the way.",
    "In another moment down went Alice after it, never once considering how in the world she was to get out again.",
]
TEXTS = [
    "Alice began to get very tired of sitting by her sister on the bank and having nothing to do.",
    "There was nothing very remarkable in that, nor did Alice think it very much out of the way.",
    "In the next moment Alice went down after it, never considering how in the world she was to get out again.",
]


@pytest.mark.feature(91)
@pytest.mark.parametrize(
    "name",
    ["sacre_bleu", "bleu", "chrf", "ter"],
)
def test_equals_sacrebleu(name):
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is in the extra 'test'")
    scorers = {
        "sacre_bleu": sacrebleu.BLEU,
        "bleu": lambda: sacrebleu.BLEU(tokenize="none"),
        "chrf": lambda: sacrebleu.CHRF(word_order=2, eps_smoothing=True),
        "ter": sacrebleu.TER,
    }
    expected = scorers[name]().corpus_score(TEXTS, [REFERENCES]).score / 100
    metric = METRICS.get(name)()
    for text, target in zip(TEXTS, REFERENCES, strict=True):
        metric.update([text], [[target]])
    assert metric.compute().item() == pytest.approx(expected, abs=1e-6)


def test_bleu_by_hand():
    """Papineni et al. 2002, example 2: the clipped precision of 'the' is 2/7."""
    metric = METRICS.get("bleu")(max_order=1)
    metric.update(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert metric.compute().item() == pytest.approx(2 / 7, abs=1e-6)


@pytest.mark.feature(91)
def test_rouge_by_hand():
    """Lin 2004, section 3.1: S2 shares three words in order, S3 two of four with 'police killed the gunman'."""
    for text, longest in {"police kill the gunman": 3 / 4, "the gunman kill police": 2 / 4}.items():
        metric = METRICS.get("rouge")()
        metric.update([text], ["police killed the gunman"])
        assert metric.compute()["rougeL_recall"].item() == pytest.approx(longest, abs=1e-6)
    values = metric.compute()  # three shared words, one shared pair "the gunman"
    assert values["rouge1_recall"].item() == pytest.approx(3 / 4, abs=1e-6)
    assert values["rouge2_precision"].item() == pytest.approx(1 / 3, abs=1e-6)


def test_error_rates_by_hand():
    word, character = METRICS.get("wer")(), METRICS.get("cer")()
    word.update(["the cat sat in mat"], ["the cat sat on the mat"])  # one substitution, one deletion, of six
    character.update(["kitten"], ["sitting"])  # two substitutions, one insertion, of seven
    assert word.compute().item() == pytest.approx(2 / 6, abs=1e-6)
    assert character.compute().item() == pytest.approx(3 / 7, abs=1e-6)


def test_perplexity_of_a_fair_die_is_six():
    metric = METRICS.get("perplexity")()
    metric.update(torch.zeros(2, 5, 6), torch.randint(0, 6, (2, 5), generator=torch.Generator().manual_seed(0)))
    assert metric.compute().item() == pytest.approx(math.exp(math.log(6)), rel=1e-6)
