"""Text metrics of torchmetrics. ``num_classes`` and ``multi_label`` have no meaning here.

Update them with a list of texts and a list of references (for BLEU, chrF and TER a list of references a text);
perplexity with logits (N, T, V) and token numbers (N, T).
"""

from __future__ import annotations

from typing import Literal

import torchmetrics.text as tm
from torchmetrics import Metric


def bleu(*, num_classes: int | None = None, multi_label: bool = False, max_order: int = 4) -> Metric:
    """BLEU of a corpus whose tokens are split at blanks. Source: Papineni et al. 2002."""
    return tm.BLEUScore(n_gram=max_order)


def sacre_bleu(
    *,
    num_classes: int | None = None,
    multi_label: bool = False,
    tokenize: Literal["none", "13a", "zh", "intl", "char"] = "13a",
) -> Metric:
    """BLEU of a corpus with sacrebleu's tokenisers, on the scale 0..1. Source: Post 2018."""
    return tm.SacreBLEUScore(tokenize=tokenize)


def chrf(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """chrF++, on the scale 0..1. Source: Popovic 2017."""
    return tm.CHRFScore()


def rouge(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """ROUGE-1, ROUGE-2 and ROUGE-L without stemming, each as precision, recall and F. Source: Lin 2004.

    ROUGE-Lsum is left out: it splits sentences with a model that nltk would download.
    """
    return tm.ROUGEScore(rouge_keys=("rouge1", "rouge2", "rougeL"))


def ter(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The translation edit rate: edits and shifts per word of the reference. Source: Snover et al. 2006."""
    return tm.TranslationEditRate()


def wer(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The word error rate: edits per word of the reference."""
    return tm.WordErrorRate()


def cer(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The character error rate: edits per character of the reference."""
    return tm.CharErrorRate()


def perplexity(*, num_classes: int | None = None, multi_label: bool = False) -> Metric:
    """The exponential of the mean cross-entropy per token."""
    return tm.Perplexity()
