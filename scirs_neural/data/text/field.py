"""A text, as the numbers of its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scirs_neural.core.errors import CheckpointError, ConfigError, DataError, RefusedError
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.field import Field, FieldSpec
from scirs_neural.data.text.tokenizer import (
    KINDS,
    load_tokenizer,
    padding_id,
    read_tokenizer_file,
    train_tokenizer,
)
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.text import read_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from scirs_neural.data.context import Context
    from scirs_neural.data.samples import Samples

TEXT_SUFFIX, TABLE_SUFFIXES = ".txt", (".csv", ".tsv", ".jsonl", ".json", ".parquet")
VOCAB_SIZE, MAX_LENGTH = 8000, 256
_CHUNK = 1000  # texts at a time


class TextField(Field):
    """A text: tokens of a tokenizer whose JSON stands whole in the description.

    A batch is one tensor of token numbers, padded to its longest text with ``padding_id``, which no text contains: a
    network finds its mask as ``ids != padding_id`` (True = a token, to be attended to). A text without any token is
    one unknown token.

    Shape: (N, T) int64, T from 1 to ``max_length``.
    """

    kind = "text"
    suffixes: ClassVar[frozenset[str]] = frozenset({TEXT_SUFFIX, *TABLE_SUFFIXES})

    @classmethod
    def check(cls, spec: FieldSpec, where: str) -> None:
        """See `Field.check`."""
        super().check(spec, where)
        numbers = [spec.get(key) for key in ("max_length", "padding_id", "num_tokens")]
        if not isinstance(spec.get("tokenizer"), str) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise CheckpointError("the description of a text is damaged", where=where)
        try:
            load_tokenizer(spec["tokenizer"], where)
        except DataError as error:
            raise CheckpointError(error.what, where=where) from error

    @classmethod
    def fit(cls, name: str, known: FieldSpec, train: Samples, settings: Mapping[str, Any]) -> FieldSpec:
        """Train a tokenizer on the training texts (or read one), and count the texts that are cut.

        Args:
            name: see `Field.fit`, as for those that follow.
            known: ``tokenizer`` ("bpe", "words", or the path of a tokenizer.json), ``vocab_size``, ``max_length`` in
                tokens, and ``column``, in which the texts stand in a table.
            train: .
            settings: .

        Raises:
            ConfigError: a setting is out of range.
            DataError: there is no such tokenizer, or no text has a token.
        """
        asked, longest = known.get("tokenizer") or KINDS[0], known.get("max_length") or MAX_LENGTH
        if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
            raise ConfigError(f"data.max_length is a whole number of tokens from 1, not {longest!r}")
        texts = [str(train.raw(index)[name]) for index in range(len(train))]
        if asked not in KINDS and ("/" in asked or asked.endswith(".json")):
            text = read_tokenizer_file(asked)
        else:
            text = train_tokenizer(asked, texts, known.get("vocab_size") or VOCAB_SIZE)
        tokenizer, pad = load_tokenizer(text), padding_id(text)
        lengths: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            lengths += [len(found.ids) for found in tokenizer.encode_batch(texts[start : start + _CHUNK])]
        if not any(lengths):
            raise DataError(f"'{name}': no training text has a token")
        return {
            "kind": cls.kind, "version": cls.version, "column": known.get("column", name), "tokenizer": text,
            "padding_id": pad,
            "num_tokens": max(tokenizer.get_vocab_size(), pad + 1), "max_length": min(longest, max(lengths)),
            "texts": len(lengths), "texts_cut": sum(length > longest for length in lengths),
        }  # fmt: skip

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, cutting at ``max_length`` in such a way that its own marks stay."""
        tokenizer = load_tokenizer(self.spec["tokenizer"])
        tokenizer.enable_truncation(self.spec["max_length"])
        return tokenizer

    def encode(self, value: Any, where: str = "") -> np.ndarray:
        """A text's tokens (T,) int32.

        Raises:
            DataError: it is no text.
        """
        if not isinstance(value, str):
            raise self.refuse(f"a text is wanted, not {type(value).__name__}", where)
        return np.asarray(self.tokenizer.encode(value).ids or [self._unknown], np.int32)

    def collate(self, values: Sequence[Any] | np.ndarray | Tensor, ctx: Context, keys: Sequence[int]) -> Tensor:
        """The tokens of a batch's texts, padded to the longest.

        Shape: N times (T,) -> (N, longest T) int64.
        """
        import torch

        if isinstance(values, torch.Tensor):
            return values
        batch = np.full((len(values), max(map(len, values), default=1)), self.spec["padding_id"], np.int64)
        for row, ids in zip(batch, values, strict=True):
            row[: len(ids)] = ids
        return torch.from_numpy(batch)

    def example(self, n: int) -> Tensor:
        """Made-up texts of different lengths.

        Shape: (n, up to 8) int64.
        """
        import torch

        pad, longest = self.spec["padding_id"], min(8, self.spec["max_length"])
        rows = torch.arange(n * longest).view(n, longest) % self.spec["num_tokens"]
        rows = torch.where(rows == pad, (pad + 1) % self.spec["num_tokens"], rows)
        lengths = longest - torch.arange(n)[:, None] % longest
        return torch.where(torch.arange(longest) < lengths, rows, pad)

    def shape(self) -> tuple[int | None, ...]:
        """Of one text: as many tokens as it has."""
        return (None,)

    def model_arguments(self) -> dict[str, Any]:
        """What a network of texts is built with."""
        return {"vocab_size": self.spec["num_tokens"], "padding_idx": self.spec["padding_id"]}

    def describe(self) -> str:
        """Vocabulary and length, and how many texts are cut."""
        spec = self.spec
        cut = f"; {spec['texts_cut']:,} of {spec['texts']:,} training texts are longer and cut"
        most = f"text of {spec['num_tokens']:,} different tokens, up to {spec['max_length']} long"
        return most + (cut if spec["texts_cut"] else "")

    def read(self, inputs: Any) -> Iterator[tuple[str, Any]]:
        """Name and value of each text: of a str or several, of a ``.txt`` file, or of a table, frame or dicts.

        In a table the texts stand in the column that they stood in for training.

        Raises:
            DataError: a file cannot be read, or a table lacks that column.
        """
        if isinstance(inputs, Path) and inputs.suffix.lower() == TEXT_SUFFIX:
            yield str(inputs), read_text(inputs)
        elif isinstance(inputs, Path | Mapping) or hasattr(inputs, "columns") or _are_rows(inputs):
            from scirs_neural.data.table.read import read_table

            table, column = read_table(inputs), self.spec["column"]
            if column not in table.columns:
                near = did_you_mean(column, table.columns)
                raise DataError(f"no column '{column}', in which the texts are", where=table.where, suggestions=near)
            before = f"{inputs}:" if isinstance(inputs, Path) else ""
            for row, value in zip(table.places, table.columns[column].to_pylist(), strict=True):
                yield f"{before}{row}", "" if value is None else str(value)
        else:
            yield from super().read(inputs)

    def write_samples(self, values: Mapping[str, Any], folder: Path) -> None:
        """Write texts as ``.txt`` files, named by their key."""
        for stem, value in values.items():
            (folder / f"{stem}{TEXT_SUFFIX}").write_text(value, encoding="utf-8")

    @property
    def _unknown(self) -> int:
        """The token for a text without tokens; never padding."""
        found = self.tokenizer.token_to_id("[UNK]")
        return found if found is not None and found != self.spec["padding_id"] else int(self.spec["padding_id"] == 0)


def read_text(file: Path) -> str:
    """The text in a file.

    Raises:
        DataError: it is too large, or not in UTF-8.
    """
    try:
        return read_bytes(file, BUDGETS.text_bytes)[0].decode("utf-8-sig")
    except RefusedError as error:
        raise DataError(error.what.removeprefix("refused: "), where=str(file)) from error
    except UnicodeDecodeError as error:
        raise DataError("not in UTF-8", where=str(file)) from error


def _are_rows(inputs: Any) -> bool:
    return isinstance(inputs, Sequence) and len(inputs) > 0 and isinstance(inputs[0], Mapping)
