"""Tokenizers of the Hugging Face library ``tokenizers``: trained on texts, or read from a file. No torch here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_bytes, read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KINDS = ("bpe", "words")  # the library's WordPiece trainer numbers the same texts otherwise in every process
PAD, UNKNOWN = "[PAD]", "[UNK]"
_PADS = (PAD, "<pad>", "<|pad|>")

# Its threads would deadlock in loader processes that are forked after it was used; it warns of that on every fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def train_tokenizer(kind: str, texts: Iterable[str], vocab_size: int) -> str:
    """A tokenizer that has learnt its vocabulary from texts, as the JSON of its library in one line.

    Args:
        kind: "bpe": pieces of bytes, as GPT-2 has them, so that nothing is unknown; "words": whole lower-case words and
            punctuation marks.
        texts: of the training split.
        vocab_size: most different tokens; those seen once are left out.

    Raises:
        ConfigError: no such kind, or a vocabulary too small for its alphabet.

    Example:
        >>> tokenizer = load_tokenizer(train_tokenizer("words", ["a cat, a dog", "A cat."], 10))
        >>> tokenizer.encode("A cat and a mouse").tokens
        ['a', 'cat', '[UNK]', 'a', '[UNK]']
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if kind not in KINDS:
        raise ConfigError(
            f"unknown tokenizer '{kind}'",
            where="data.tokenizer", suggestions=did_you_mean(kind, KINDS),
            fix=f"one of {', '.join(KINDS)}, or the path of a tokenizer.json",
        )  # fmt: skip
    least = 300 if kind == "bpe" else 10
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or vocab_size < least:
        raise ConfigError(f"data.vocab_size is a whole number from {least} for '{kind}', not {vocab_size!r}")
    common: dict[str, Any] = {"special_tokens": [PAD, UNKNOWN], "show_progress": False, "min_frequency": 2}
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer: Any = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, **common)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=vocab_size, **common)
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def read_tokenizer_file(path: str | Path) -> str:
    """The JSON of a tokenizer in a file, checked.

    Raises:
        DataError: there is no such file, or it is no tokenizer.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        raise DataError("no such tokenizer", where=str(path), fix=f"data.tokenizer={'|'.join(KINDS)}, or a file")
    content, where = read_bytes(path, BUDGETS.json_bytes)
    text = content.decode("utf-8", errors="replace")
    load_tokenizer(text, where)
    return text


def load_tokenizer(text: str, where: str = "") -> Tokenizer:
    """The tokenizer of a JSON, with neither truncation nor padding.

    What looks like a special token in a text is text: nobody can write ``[PAD]`` into one.

    Raises:
        DataError: it is no tokenizer.
    """
    from tokenizers import Tokenizer

    held = read_json(text.encode(), where=where or "the tokenizer")
    if not isinstance(held, dict) or not isinstance(held.get("model"), dict):
        raise DataError("this is no tokenizer: it has no model", where=where or None)
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library has no class of its own for it
        raise DataError(f"this is no tokenizer: {error}", where=where or None) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def padding_id(text: str) -> int:
    """The token that stands for padding: the tokenizer's own, else one beyond its vocabulary."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    found = (tokenizer.token_to_id(name) for name in _PADS)
    return next((number for number in found if number is not None), int(tokenizer.get_vocab_size()))
