"""Seeds as a pure function of what they are for.

No random state is ever saved. Each stream of random numbers is seeded from (seed, purpose, epoch, index or step,
rank), so a resumed run draws what the unbroken one would have drawn, whatever happened in between.
"""

from __future__ import annotations

import hashlib
from numbers import Integral

_PLAIN = frozenset((int, str))


def stream_seed(*key: object) -> int:
    """A 63-bit seed for one stream of random numbers.

    Args:
        *key: what the stream is for, such as ``("augment", seed, epoch, index)``. Equal keys give equal seeds on
            every machine and Python version; keys that differ anywhere give unrelated ones. Whole numbers of any
            type (numpy's too) count as what they are.

    Source: ours; BLAKE2b (RFC 7693) over the key's ``repr``.

    Example:
        >>> stream_seed("shuffle", 0, 1)
        5788877231843814491
        >>> stream_seed("shuffle", 0, 1) == stream_seed("shuffle", 0, 2)
        False
    """
    if not _PLAIN.issuperset(map(type, key)):
        key = tuple(int(part) if isinstance(part, Integral) else part for part in key)
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
