"""The registered names in a package: who brings them, and whether their owners accept what the package says of them.

Serialization stands below tasks and plugins, so it reaches them only by their names in registries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions
from typing import Any

from scirs_neural.core.environment import installed
from scirs_neural.core.errors import CheckpointError, ScirsError
from scirs_neural.core.registries import registry
from scirs_neural.core.registry import OURS, Entry
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.serialization.schema import MODEL, PLUGINS, SPEC, TASK, Part

Documents = Mapping[str, Any]
_OF_NETWORKS = ("model", "layer")


def parts_of(documents: Documents) -> list[Part]:
    """The registered names of a package to be written, and the distributions that bring them.

    Raises:
        UnknownNameError: one is not registered here: nobody could load the package.
    """
    names = dict.fromkeys((kind, name) for kind, name, _ in named(documents))
    return [_part(kind, registry(kind).entry(name)) for kind, name in names]


def check_parts(documents: Documents, parts: Sequence[Part], where: str) -> None:
    """Hold what a package says of fields, tasks and plugins to their owners' schemas.

    Args:
        documents: the JSON members as plain data.
        parts: of the manifest: who brings a name that is not installed.
        where: the package, for errors.

    Raises:
        CheckpointError: a name is not installed, or its owner does not know what is said of it.
    """
    brought: dict[tuple[str, str], Part] = {(part.kind, part.name): part for part in parts}
    for part in parts:
        if part.kind in _OF_NETWORKS and part.distribution != OURS and part.name not in registry(part.kind):
            raise _missing(part.kind, part.name, part, where)
    for kind, name, record in named(documents):
        if kind in _OF_NETWORKS:
            continue  # checked when the network is built
        if name not in registry(kind):
            raise _missing(kind, name, brought.get((kind, name)), where)
        check: Callable[[Any, str], None] | None = getattr(registry(kind).get(name), "check", None)
        if check is None:
            continue
        try:
            check(record, where)
        except ScirsError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"the {kind} '{name}' is not as its kind has it: {error!r}", where=where) from error


def named(documents: Documents) -> Iterator[tuple[str, str, Any]]:
    """Every registered name in the documents of a package: (kind, name, what is said of it)."""
    model, spec = documents[MODEL], documents.get(SPEC)
    if model["kind"] == "zoo":
        yield "model", model["name"], model
    elif model["kind"] == "builder":
        layers = model["spec"].get("layers")
        keys = (
            {key for layer in layers if isinstance(layer, dict) for key in layer} if isinstance(layers, list) else set()
        )
        yield from (("layer", key, None) for key in sorted(keys & set(registry("layer"))))
    if spec is not None:
        for record in (*spec["inputs"].values(), *spec["targets"].values()):
            yield "field", record["kind"], record
        yield "pipeline", spec.get("pipeline", "fields"), spec
    if TASK in documents:
        yield from (("task", record["name"], record) for record in _tasks(documents[TASK]))
    yield from (("plugin", record["name"], record) for record in documents.get(PLUGINS, ()))


def _tasks(record: Any) -> Iterator[Any]:
    """A task's record, and those of the tasks that it is made of, wherever its options hold them."""
    if isinstance(record, dict):
        if {"name", "version", "options"} == record.keys():
            yield record
        for part in record.values():
            yield from _tasks(part)
    elif isinstance(record, list):
        for part in record:
            yield from _tasks(part)


def _part(kind: Any, entry: Entry) -> Part:
    """A registered name with the distribution that brings it: None for a module that is in none."""
    distribution = entry.distribution
    if distribution is None:
        top = getattr(entry.target, "__module__", "").partition(".")[0]
        distribution = OURS if top == "scirs_neural" else next(iter(packages_distributions().get(top, ())), None)
    return Part(
        kind=kind, name=entry.name, distribution=distribution, version=installed(distribution) if distribution else None
    )


def _missing(kind: str, name: str, part: Part | None, where: str) -> CheckpointError:
    brought = part.distribution if part else None
    if part is None or brought is None:
        fix = "import the module that registers it before you load the package"
    else:
        fix = f"install the distribution that brings it: {brought} {part.version or ''}".rstrip()
    near = [] if brought not in (None, OURS) else did_you_mean(name, registry(kind).names())
    what = f"the package needs the {kind} '{name}', which is not installed"
    return CheckpointError(what, where=where, suggestions=near, fix=fix)
