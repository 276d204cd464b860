"""Suggestions: what the user may have meant.

Plain similarity ranks short names badly (``depth`` for ``epoch``), so names are compared on their normalised spelling
(case, separators and the order of dotted parts taken out) by Damerau-Levenshtein distance, where a swap of two
letters is one edit; a shared prefix, then nearer numbers, break ties. The largest distance that is still
suggested grows with the length.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

MAX_NEAR = 3


def normalise(name: str) -> str:
    """The spelling that is compared: lower case, no separators.

    Example:
        >>> normalise("ResNet-50"), normalise("max_epochs")
        ('resnet50', 'maxepochs')
    """
    return "".join(ch for ch in name.lower() if ch.isalnum())


def did_you_mean(name: str, choices: Iterable[str]) -> list[str]:
    """The choices that are spelt alike, the most alike first; none when no choice is.

    Args:
        name: what the user wrote.
        choices: every valid name.

    Example:
        >>> did_you_mean("resnet51", ["resnet50", "resnet101", "vgg11"])
        ['resnet50', 'resnet101']
        >>> did_you_mean("zebra", ["resnet50", "vgg11"])
        []
    """
    from rapidfuzz.distance import DamerauLevenshtein  # only when something is already wrong

    wanted = normalise(name)
    if not wanted:
        return []
    initials = "".join(part[0] for part in name.lower().split("_") if part)
    ranked: list[tuple[float, int, int, int, str]] = []
    for choice in dict.fromkeys(choices):
        have = normalise(choice)
        distance = float(DamerauLevenshtein.distance(wanted, have))
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(wanted, have, strict=False)))
        gap = abs(len(wanted) - len(have))
        is_cut = min(len(wanted), len(have)) >= 3 and (have.startswith(wanted) or wanted.startswith(have))
        is_part = len(wanted) >= 4 and wanted in have
        is_initials = len(initials) > 1 and have == initials  # learning_rate for lr
        is_reordered = "_" in name and sorted(name.lower().split("_")) == sorted(choice.lower().split("_"))
        if choice.lower() == name.lower().replace("-", "_"):  # regnet_x_1_6gf is not regnet_x_16gf
            distance = -1.0
        elif is_initials or is_reordered:
            distance = 0.5  # the same, or the same parts in another order
        elif is_cut:  # a name cut short, or one with something tacked on
            distance = min(distance, 1.0 + 0.1 * gap)
        elif is_part:
            distance = min(distance, 1.5 + 0.1 * gap)
        if is_cut or is_part or is_initials or distance <= max(1, min(len(wanted), len(have)) / 3):
            ranked.append((distance, -shared, gap, abs(_number(wanted) - _number(have)), choice))
    return [choice for *_, choice in sorted(ranked)[:MAX_NEAR]]


def _number(name: str) -> int:
    return int("".join(ch for ch in name if ch.isdecimal()) or 0)
