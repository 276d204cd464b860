"""Keys and values of the tokens that were seen, so that decoding computes each token once."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """The keys and values of one attention layer, (B, G, S, D), growing along S.

    Example:
        >>> cache = KVCache()
        >>> keys, values = cache.append(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
        >>> keys, values = cache.append(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))
        >>> cache.length, keys.shape
        (4, torch.Size([1, 2, 4, 4]))
    """

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens held."""
        return 0 if self._keys is None else self._keys.shape[2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add new tokens; give all."""
        if self._keys is None or self._values is None:
            self._keys, self._values = keys, values
        else:
            self._keys = torch.cat([self._keys, keys], dim=2)
            self._values = torch.cat([self._values, values], dim=2)
        return self._keys, self._values

    def content(self) -> tuple[Tensor, Tensor]:
        """All keys and values.

        Raises:
            LookupError: the cache is empty.
        """
        if self._keys is None or self._values is None:
            raise LookupError("the cache is empty")
        return self._keys, self._values

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order (beam search)."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[rows], self._values[rows]
