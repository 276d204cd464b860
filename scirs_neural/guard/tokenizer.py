"""Tokenizers, as their libraries write them: a few files of known names, read as data and handed on as bytes.

No tokenizer is built here. What a folder names beside these files, such as code that would make a tokenizer of its own
(``auto_map``), stays where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_bytes, read_json

MAPPINGS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
TEXTS = ("vocab.txt", "merges.txt")
PROTOBUFS = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")  # of SentencePiece
FILES = (*MAPPINGS, *TEXTS, *PROTOBUFS, "chat_template.jinja")
_MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")  # what a tokenizer.json can have


def read_tokenizer(folder: str | Path) -> dict[str, bytes]:
    r"""The files of a tokenizer in a folder, each judged; empty if there are none.

    Args:
        folder: as ``save_pretrained`` writes it, with or without a model beside the tokenizer.

    Returns:
        File name to content, as `scirs_neural.save_package` takes it.

    Raises:
        RefusedError: a file is too large, or not what its name says: no mapping of JSON, no text, no tokenizer.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "vocab.txt").write_text("[UNK]\ncat\n")
        >>> read_tokenizer(folder)
        {'vocab.txt': b'[UNK]\ncat\n'}
    """
    folder = Path(folder).expanduser()
    return {name: _read(folder / name) for name in FILES if (folder / name).exists()}


def _read(path: Path) -> bytes:
    limit = BUDGETS.json_bytes if path.name in MAPPINGS else BUDGETS.text_bytes
    content, where = read_bytes(path, limit)
    if path.name in MAPPINGS:
        found = read_json(content, where=where)
        if not isinstance(found, dict):
            _refuse("it is no mapping", where)
        model = found.get("model") if path.name == "tokenizer.json" else None
        if path.name == "tokenizer.json" and not (
            isinstance(model, dict) and isinstance(model.get("vocab"), dict | list)
        ):
            _refuse("it has no model with a vocabulary", where)
        if isinstance(model, dict) and model.get("type", "BPE") not in _MODELS:
            _refuse(f"its model is of no kind that is known: {', '.join(_MODELS)}", where)
    elif path.name in PROTOBUFS:
        if content[:1] != b"\n":  # the first field of a ModelProto: its pieces
            _refuse("it is no model of SentencePiece", where)
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            _refuse("it is no UTF-8 text", where)
        if "\0" in text:
            _refuse("it is no text", where)
    return content


def _refuse(what: str, where: str) -> NoReturn:
    raise RefusedError(f"refused: {what}", where=where)
