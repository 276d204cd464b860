"""CTC for batches as networks give them, and two ways to read the result: greedy and prefix beam search.

Legend: N samples, T time steps, C classes (blank among them), S target length.
"""

from __future__ import annotations

import math
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scirs_neural.core.errors import ConfigError, ShapeError


class CTCSequenceLoss(nn.Module):
    """CTC on logits, batch first, with padded targets: ``loss(logits, target)``.

    torch's `CTCLoss` wants log-probabilities, time first, and both lengths; this finds them.

    Args:
        blank: class that means "nothing here".
        pad: value that fills the targets' ends.
        reduction: "mean" (each sample over its target length, then over the batch), "sum" or "none".
        zero_infinity: a target that does not fit into its time steps counts 0 rather than infinity.

    Shape:
        logits (N, T, C), target (N, S), input_lengths (N,) or None (all T) -> () or (N,).

    Raises:
        ShapeError: other shapes.

    Source: Graves et al. 2006; `torch.nn.functional.ctc_loss`.

    Example:
        >>> logits = torch.zeros(1, 2, 3)  # two steps, three equally likely classes; "1" has 3 of 9 alignments
        >>> round(math.exp(-CTCSequenceLoss()(logits, torch.tensor([[1, -1]])).item()), 4)
        0.3333
    """

    def __init__(self, blank: int = 0, pad: int = -1, reduction: str = "mean", zero_infinity: bool = True) -> None:
        super().__init__()
        self.blank, self.pad, self.reduction, self.zero_infinity = blank, pad, reduction, zero_infinity

    def forward(self, input: Tensor, target: Tensor, input_lengths: Tensor | None = None) -> Tensor:
        """The loss of logits against padded label sequences."""
        if input.dim() != 3 or target.dim() != 2 or target.shape[0] != input.shape[0]:
            raise ShapeError(
                f"loss 'ctc_sequence': logits {tuple(input.shape)} and target {tuple(target.shape)}",
                fix="expected logits (N, T, C) and targets (N, S), padded",
            )
        if input_lengths is None:
            input_lengths = torch.full(input.shape[:1], input.shape[1], dtype=torch.long, device=input.device)
        kept = target != self.pad
        log_probs = F.log_softmax(input, dim=-1).transpose(0, 1)
        labels = target.masked_fill(~kept, 1 if self.blank == 0 else 0)  # torch looks at padded places too
        return F.ctc_loss(
            log_probs, labels, input_lengths, kept.sum(1), self.blank, self.reduction, zero_infinity=self.zero_infinity
        )

    def extra_repr(self) -> str:
        """The options."""
        return f"blank={self.blank}, pad={self.pad}, reduction={self.reduction!r}, zero_infinity={self.zero_infinity}"


def ctc_greedy_decode(logits: Tensor, lengths: Tensor | None = None, blank: int = 0) -> list[list[int]]:
    """Read the best class of every step, merge repeats, drop blanks.

    Args:
        logits: logits or log-probabilities.
        lengths: steps that count in each sample; None is all.
        blank: the class that is dropped.

    Shape:
        (N, T, C) -> N lists of labels.

    Raises:
        ShapeError: another shape.

    Source: Graves et al. 2006, section 3.2, best path decoding.

    Example:
        >>> ctc_greedy_decode(F.one_hot(torch.tensor([[1, 1, 0, 1, 2]]), 3).float())
        [[1, 1, 2]]
    """
    best = _checked(logits).argmax(-1)
    texts = []
    for row, length in zip(best, _lengths(logits, lengths), strict=True):
        merged = torch.unique_consecutive(row[:length])
        texts.append([label for label in merged.tolist() if label != blank])
    return texts


def ctc_beam_decode(
    logits: Tensor, lengths: Tensor | None = None, blank: int = 0, beam_width: int = 16, top: int = 1
) -> list[list[tuple[list[int], float]]]:
    """Prefix beam search: the most probable label sequences, each with its log-probability over all its alignments.

    Greedy decoding finds the best alignment; the best sequence may have many lesser ones that together weigh more.
    Runs in Python, for evaluation.

    Args:
        logits: logits or log-probabilities; they are normalised over the classes.
        lengths: steps that count in each sample; None is all.
        blank: the blank class.
        beam_width: prefixes kept at each step. With as many as there are sequences the result is exact.
        top: how many sequences to give for each sample.

    Shape:
        (N, T, C) -> N lists of up to `top` pairs (labels, log-probability), best first.

    Raises:
        ShapeError: another shape.
        ConfigError: beam_width or top is below 1.

    Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
    Recurrent DNNs", algorithm 1, without a language model.

    Example:
        >>> probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]])  # best path: nothing, .36; "1" has .64 in three
        >>> [(text, log_prob)] = ctc_beam_decode(probs.log())[0]
        >>> ctc_greedy_decode(probs.log()), text, round(math.exp(log_prob), 2)
        ([[]], [1], 0.64)
    """
    if beam_width < 1 or top < 1:
        raise ConfigError(f"beam_width={beam_width} and top={top} must be at least 1")
    log_probs = F.log_softmax(_checked(logits).double(), dim=-1).cpu()
    return [
        _search(rows[:length].tolist(), blank, beam_width)[:top]
        for rows, length in zip(log_probs, _lengths(logits, lengths), strict=True)
    ]


def _search(steps: list[list[float]], blank: int, beam_width: int) -> list[tuple[list[int], float]]:
    """Beam search over one sample. A prefix has two scores: ending in blank, and ending in its last label."""
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for step in steps:
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (in_blank, in_label) in beams.items():
            both = _log_add(in_blank, in_label)
            for label, log_prob in enumerate(step):
                if label == blank:
                    _add(grown[prefix], 0, both + log_prob)
                elif prefix and prefix[-1] == label:  # a repeat merges, unless a blank stood between
                    _add(grown[prefix], 1, in_label + log_prob)
                    if in_blank > -math.inf:
                        _add(grown[(*prefix, label)], 1, in_blank + log_prob)
                else:
                    _add(grown[(*prefix, label)], 1, both + log_prob)
        best = sorted(grown.items(), key=lambda item: -_log_add(*item[1]))[:beam_width]
        beams = {prefix: (scores[0], scores[1]) for prefix, scores in best}
    return [(list(prefix), _log_add(*scores)) for prefix, scores in beams.items()]


def _add(scores: list[float], place: int, log_prob: float) -> None:
    scores[place] = _log_add(scores[place], log_prob)


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _checked(logits: Tensor) -> Tensor:
    if logits.dim() != 3:
        raise ShapeError(f"CTC decoding: logits of shape {tuple(logits.shape)}", fix="expected (N, T, C)")
    return logits.detach()


def _lengths(logits: Tensor, lengths: Tensor | None) -> list[int]:
    return [logits.shape[1]] * logits.shape[0] if lengths is None else [int(length) for length in lengths]
