"""In which order callbacks or plugins are called, and which exclude each other.

Each says so in its traits: ``before`` and ``after`` name others whose hooks come later or earlier than its own;
``conflicts`` those that it cannot run beside. Names that are not in use mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scirs_neural.core.errors import ConfigError


@dataclass
class Ordered:
    """A callback or plugin with what it says of its place.

    Args:
        name: under which the others know it.
        item: itself.
        traits: its ``before``, ``after`` and ``conflicts``.
    """

    name: str
    item: Any
    traits: Mapping[str, Any] = field(default_factory=dict)

    def others(self, kind: str) -> tuple[str, ...]:
        """The names that it gives for one of its traits; a single one may stand alone."""
        named = self.traits.get(kind, ())
        return (named,) if isinstance(named, str) else tuple(named)


def topological_sort(placed: Sequence[Ordered], what: str = "callbacks") -> list[Any]:
    """The items so that every ``before`` and ``after`` holds, else in the order in which they were given.

    Raises:
        ConfigError: two of them conflict, or no order pleases all.

    Example:
        >>> first = Ordered("a", 1, {"after": "c"})
        >>> topological_sort([first, Ordered("b", 2), Ordered("c", 3)])
        [2, 3, 1]
    """
    names = [one.name for one in placed]
    for one in placed:
        for other in one.others("conflicts"):
            if other in names and other != one.name:
                raise ConfigError(f"the {what} '{one.name}' and '{other}' exclude each other", where=what)
    earlier = {one.name: {name for name in one.others("after") if name in names} for one in placed}
    for one in placed:
        for later in one.others("before"):
            if later in names:
                earlier[later].add(one.name)
    ordered: list[Any] = []
    waiting = list(placed)
    while waiting:
        left = {one.name for one in waiting}
        ready = next((one for one in waiting if not earlier[one.name] & left), None)
        if ready is None:
            circle = "', '".join(one.name for one in waiting)
            raise ConfigError(f"no order of the {what} '{circle}' pleases all of them", where=what)
        waiting.remove(ready)
        ordered.append(ready.item)
    return ordered
