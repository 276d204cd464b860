"""Packages: saved, loaded, looked at, verified and migrated. The format is in docs/format.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import CheckpointError, expect
from scirs_neural.core.paths import refuse_input
from scirs_neural.core.registries import registry
from scirs_neural.data.spec import DataSpec
from scirs_neural.guard.archive import open_archive
from scirs_neural.guard.names import check_names
from scirs_neural.guard.text import read_json
from scirs_neural.serialization.contents import open_package
from scirs_neural.serialization.manifest import dump, new_facts, seal
from scirs_neural.serialization.schema import (
    ANSWER,
    METRICS,
    MODEL,
    PLUGIN_TENSORS,
    PLUGINS,
    SPEC,
    TASK,
    VERSION,
    WEIGHTS,
    Manifest,
    check,
)
from scirs_neural.serialization.writing import Content, write_package

if TYPE_CHECKING:
    from torch import nn

    from scirs_neural.serialization.architecture import ModelClass


_SHOWN = 10  # names of classes, columns or outputs


@dataclass(frozen=True)
class Package:
    """A loaded package.

    Args:
        path: where it lies.
        manifest: its name, origin, licences and members.
        model: the network in evaluation mode, on the CPU.
        spec: the data spec; None where the package has none.
        task_record: what the network was asked for, as `Task.record` gives it; None where the package does not say.
        answer: settings of how answers are made, such as a threshold.
        plugins: records of what plugins did to the network, in order.
        metrics: what was measured, by split.
        files: names of the tokenizer's files and of the exports.
    """

    path: Path
    manifest: Manifest
    model: nn.Module
    spec: DataSpec | None = None
    task_record: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def make_task(self) -> Any:
        """The task, made anew from its record and the spec.

        Raises:
            CheckpointError: the package lacks one of them, or the task refuses its options.
        """
        if self.spec is None or self.task_record is None:
            what = f"the package lacks its {'data spec' if self.spec is None else 'task'}"
            raise CheckpointError(what, where=str(self.path), fix="save it with spec= and task=")
        name, where = self.task_record["name"], str(self.path)
        make = registry("task").get(name, where=where)
        try:
            return make(self.spec, **self.task_record["options"])
        except (TypeError, ValueError) as error:
            what = f"the task '{name}' refuses its options: {getattr(error, 'what', error)}"
            raise CheckpointError(what, where=where) from error

    def read(self, name: str) -> bytes:
        """A file of the tokenizer, or an export.

        Raises:
            CheckpointError: there is no such member, or it is damaged.
        """
        with open_package(self.path) as contents:
            contents.check_members(names=(name,))
            return contents.archive.read(name)


@dataclass(frozen=True)
class PackageFacts:
    """What is in a package, without building anything.

    Args:
        path: where it lies.
        version: of the format, as it lies there.
        manifest: of the newest version.
        model: ``model.json`` as plain data.
        tensors: name to (dtype, shape), as in the weights.
        documents: the other JSON members, as plain data.
    """

    path: Path
    version: int
    manifest: Manifest
    model: dict[str, Any]
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    documents: dict[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, str]:
        """What the package is of, a line each: network, task, inputs, targets, plugins."""
        spec, task = self.documents.get(SPEC, {}), self.documents.get(TASK)
        changes = [change["kind"] for change in self.model.get("modifications", [])]
        return {
            "network": " ".join([self.model.get("name", "a graph of layers"), f"({self.model['kind']})", *changes]),
            "task": task["name"] if task else "none",
            **{what: _fields(spec.get(what, {})) for what in ("inputs", "targets")},
            "plugins": ", ".join(record["name"] for record in self.documents.get(PLUGINS, [])) or "none",
        }


def save_package(
    path: str | Path,
    model: nn.Module,
    *,
    spec: DataSpec | None = None,
    task: Any = None,
    answer: Mapping[str, Any] | None = None,
    plugins: Sequence[Any] = (),
    name: str | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    licences: Mapping[str, str] | None = None,
    tokenizer: Mapping[str, bytes] | None = None,
    exports: Mapping[str, bytes | str | Path] | None = None,
    model_class: ModelClass | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a network and what is needed to use it as one package.

    Before anything is written, the network is built again from what the package will hold, so that what cannot be
    loaded is not saved. A network whose channels were pruned is found to be slimmer than its name, and its widths are
    kept.

    Args:
        path: ``….zip`` for a single file, any other name for a folder. A package that is there is replaced at once.
        model: from `create_model` or the builder; or any module, whose class is passed again when loading.
        spec: the data spec.
        task: a `Task`, or its record.
        answer: settings of how answers are made, such as a threshold: plain data.
        plugins: what changed the network, in order: `Plugin` objects, or mappings of name, version and record.
        name: of the package; None takes the data's and the network's.
        metrics: split to metric to value.
        licences: of what ("model", "weights", "data") to which; None takes what catalogue and spec know.
        tokenizer: file name to content.
        exports: file name to content, or to a file that is copied.
        model_class: what builds the network, where that is a class or function of your own.
        options: what `model_class` is called with: plain data.

    Returns:
        The path.

    Raises:
        CheckpointError: the network cannot be built again from plain data, or an argument is no plain data.
        UnknownNameError: the task, a field or a plugin is not registered: nobody could load the package.
        ConfigError: path and network are not what they should be, such as swapped.
        StorageError: it could not be written. What stood there before is untouched.

    Example:
        >>> import tempfile, scirs_neural as sn
        >>> net = sn.create_model("cnn", num_classes=2, depth=1, width=4)
        >>> file = save_package(Path(tempfile.mkdtemp()) / "net.zip", net, answer={"threshold": 0.4})
        >>> load_package(file).answer
        {'threshold': 0.4}
    """
    from torch import nn

    from scirs_neural.guard.tensor_bytes import to_bytes
    from scirs_neural.serialization.architecture import describe, unwrapped
    from scirs_neural.serialization.parts import check_parts, parts_of
    from scirs_neural.serialization.records import changes_of, records_of, without_tensors

    usage = "sn.save_package(path, network, spec=…, task=…)"
    expect(path, (str, Path), "the path, which comes first,", usage)
    expect(model, nn.Module, "the network, which comes second,", usage)
    path, model, where = Path(path).expanduser(), unwrapped(model), str(path)
    records = records_of(plugins)
    described = describe(model, model_class, options, changes_of(records))
    plain_records, tensors = without_tensors(records, where)
    members = {
        MODEL: described,
        SPEC: None if spec is None else DataSpec.from_dict(spec.to_dict()).to_dict(),
        TASK: task if task is None or isinstance(task, Mapping) else task.record(),
        ANSWER: None if answer is None else dict(answer),
        PLUGINS: plain_records or None,
        METRICS: None if metrics is None else {split: dict(values) for split, values in metrics.items()},
    }
    documents = {member: as_json(plain) for member, plain in members.items() if plain is not None}
    for member, plain in documents.items():
        check(member, plain, where)
    parts = parts_of(documents)
    check_parts(documents, parts, where)
    label = described.get("name") or type(model).__name__
    licences = _licences(described, spec) if licences is None else licences
    facts = new_facts(name=name or (f"{spec.name}-{label}" if spec else label), licences=licences, parts=parts)
    contents = {member: Content.of(dump(plain)) for member, plain in documents.items()}
    contents[WEIGHTS] = Content.of(*to_bytes({**_state(model), **tensors}))
    for prefix, files in (("tokenizer", tokenizer or {}), ("exports", exports or {})):
        for file, content in files.items():
            whole = Content.of(content) if isinstance(content, bytes) else Content.of_file(content)
            contents[f"{prefix}/{file}"] = whole
    check_names(contents, where)
    write_package(path, contents, lambda sums: seal(facts, sums)[1])
    return path


def load_package(path: str | Path, model_class: ModelClass | None = None) -> Package:
    """Load a package: the network in evaluation mode, and what goes with it.

    Nothing that the package says is imported or run: names are looked up in registries, and a class of the user's
    must be passed.

    The network's memory is the file itself, mapped: nothing is copied until it is changed, and the file is not changed
    by that. Every bit is held to a checksum first (CRC-32 of the weights, SHA-256 of the rest); `verify_package` holds
    all of it to SHA-256.

    Args:
        path: a folder or a zip. It may be replaced or removed while the network is used, but not written into.
        model_class: for a package of a network of your own: its class, or a function that builds it.

    Raises:
        CheckpointError: it is damaged, newer than this library, or names a task, field or plugin that is not installed.
        UnknownNameError: a network or layer of no registered name.
    """
    from scirs_neural.guard.tensor_bytes import tensors_in
    from scirs_neural.serialization.architecture import fill, rebuild
    from scirs_neural.serialization.parts import check_parts
    from scirs_neural.serialization.records import changes_of, with_tensors

    with open_package(path) as contents:
        where, plain = contents.where, contents.plain
        check_parts(plain, contents.manifest.parts, where)
        stored = tensors_in(contents.map(WEIGHTS), f"{where}, {WEIGHTS}")
        tensors = {name: tensor for name, tensor in stored.items() if name.startswith(PLUGIN_TENSORS)}
        state = {name: tensor for name, tensor in stored.items() if name not in tensors}
        records = with_tensors(plain.get(PLUGINS, []), tensors, where)
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        model = rebuild(contents.documents[MODEL], shapes, model_class, where, changes_of(records))
        fill(model, state, where)
        spec = None if plain.get(SPEC) is None else DataSpec.from_dict(plain[SPEC], where)
        return Package(
            contents.archive.path, contents.manifest, model.eval(), spec, plain.get(TASK),
            plain.get(ANSWER, {}), tuple(records), plain.get(METRICS, {}),
            tuple(name for name in contents.manifest.members if "/" in name),
        )  # fmt: skip


def as_json(plain: Any) -> Any:
    """Plain data as JSON gives it back: tuples are lists, and keys are texts.

    Raises:
        CheckpointError: it holds something else, or more than a reader takes.
    """
    return read_json(dump(plain), where="the package")


def inspect_package(path: str | Path) -> PackageFacts:
    """What is in a package. Nothing is built, and torch is not needed.

    Raises:
        CheckpointError: it is no package, damaged, or newer than this library.
    """
    with open_package(path) as contents:
        tensors = {name: (info.dtype, info.shape) for name, info in contents.weights().tensors.items()}
        others = {name: plain for name, plain in contents.plain.items() if name != MODEL}
        return PackageFacts(
            contents.archive.path, contents.version, contents.manifest, contents.plain[MODEL], tensors, others
        )


def verify_package(path: str | Path) -> PackageFacts:
    """Hold every member to its size and hash, the manifest to its digest, and a zip to its one byte form.

    A change of any bit of a package is found.

    Raises:
        CheckpointError: something is not as it was written. Names the first such place.
    """
    with open_package(path) as contents:
        contents.check_members()
    return inspect_package(path)


def migrate_package(path: str | Path, target: str | Path) -> Path:
    """Write a package anew, in the newest version of the format, as a folder or a zip.

    Args:
        path: the package, of any version.
        target: ``….zip`` for a single file, any other name for a folder.

    Raises:
        CheckpointError: the package is damaged, or newer than this library.
        ConfigError: package and target are one.
        StorageError: it could not be written, or something stands there that is no package.
    """
    target = Path(target).expanduser()
    refuse_input(target, [Path(path).expanduser()], "the target")
    with open_package(path) as contents:
        contents.check_members(names=tuple(contents.manifest.members))
        facts = contents.manifest.model_dump(exclude={"format", "version", "members", "digest"})

        def pieces(name: str) -> Iterator[bytes]:
            with open_archive(path) as again:  # two threads read at once
                yield from again.pieces(name)

        members = {
            name: Content.of(dump(contents.plain[name])) if name in contents.plain
            else Content(contents.archive.size(name), partial(pieces, name))
            for name in contents.manifest.members
        }  # fmt: skip
        write_package(target, members, lambda sums: seal(facts, sums)[1])
    return target


def _state(model: nn.Module) -> dict[str, Any]:
    """The values of a network.

    Raises:
        CheckpointError: some are no plain tensors, or tensors without values.
    """
    import torch
    from torch import nn

    state = model.state_dict()
    for name, tensor in state.items():
        is_plain = type(tensor) in (torch.Tensor, nn.Parameter) and tensor.layout is torch.strided
        if not is_plain or tensor.is_quantized:
            raise CheckpointError(
                f"'{name}' is a {type(tensor).__name__}, and version {VERSION} of the format has plain tensors only",
                fix="a quantized network leaves as an export: put its file into exports=",
            )
        if name.startswith(PLUGIN_TENSORS):
            raise CheckpointError(f"a module of the network is called '{name}': '{PLUGIN_TENSORS}' is for plugins")
        if tensor.device.type == "meta":
            raise CheckpointError(f"'{name}' has no values: the network was built on the meta device")
    return state


def _fields(fields: Mapping[str, Any]) -> str:
    """Fields in a line: ``image (image 1x8x8), label (class: cat, dog)``."""
    texts = []
    for name, record in fields.items():
        values = record.get("classes") or record.get("names") or [c["name"] for c in record.get("columns", [])]
        more = f": {', '.join(map(str, values[:_SHOWN]))}{', …' if len(values) > _SHOWN else ''}" if values else ""
        texts.append(f"{name} ({record['kind']}{more})")
    return ", ".join(texts) or "none"


def _licences(described: Mapping[str, Any], spec: DataSpec | None) -> dict[str, str]:
    from scirs_neural.models.catalog import catalogue

    entry = catalogue().get(described["name"]) if described["kind"] == "zoo" else None
    licences = {"model": entry.licence if entry else "", "data": spec.licence if spec else ""}
    return {what: licence for what, licence in licences.items() if licence}
