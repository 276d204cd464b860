"""Packages: saved, loaded, looked at, verified and migrated. The format is in docs/format.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scirs_neural.core.errors import CheckpointError
from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.spec import DataSpec, migrate
from scirs_neural.guard.archive import open_archive
from scirs_neural.guard.names import check_names
from scirs_neural.serialization.contents import Contents, open_package
from scirs_neural.serialization.manifest import dump, new_facts, seal
from scirs_neural.serialization.schema import (
    LABELS,
    METRICS,
    MODEL,
    PREPROCESS,
    VERSION,
    WEIGHTS,
    LabelsFile,
    Manifest,
    PreprocessFile,
    check,
)
from scirs_neural.serialization.writing import Content, write_package

if TYPE_CHECKING:
    from torch import nn

    from scirs_neural.serialization.architecture import ModelClass


@dataclass(frozen=True)
class Package:
    """A loaded package.

    Args:
        path: where it lies.
        manifest: what it says of itself.
        model: the network in evaluation mode, on the CPU.
        spec: what the data said of itself; None where the package lacks preprocessing or labels.
        preprocess: from an image to the network's input; None where there is none.
        labels: class names in the order of the logits; None where there are none.
        metrics: what was measured, by split.
        files: names of the tokenizer's files and of the exports.
    """

    path: Path
    manifest: Manifest
    model: nn.Module
    spec: DataSpec | None
    preprocess: Preprocess | None
    labels: tuple[str, ...] | None
    metrics: dict[str, dict[str, float]]
    files: tuple[str, ...]

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
    """What a package says, without building anything.

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


def save_package(
    path: str | Path,
    model: nn.Module,
    *,
    spec: DataSpec | None = None,
    name: str | None = None,
    preprocess: Preprocess | None = None,
    labels: Sequence[str] | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    licences: Mapping[str, str] | None = None,
    tokenizer: Mapping[str, bytes] | None = None,
    exports: Mapping[str, bytes | str | Path] | None = None,
    model_class: ModelClass | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a network and what is needed to use it as one package.

    Before anything is written, the network is built again from what the package will say, so that what cannot be loaded
    is not saved. A network whose channels were pruned is found to be slimmer than its name, and its widths are kept.

    Args:
        path: ``….zip`` for a single file, any other name for a folder. A package that is there is replaced at once.
        model: from `create_model` or the builder; or any module, whose class is to be given again when loading.
        spec: what its data said of itself; brings preprocessing, labels and task.
        name: of the package; None takes the data's and the network's.
        preprocess: in place of the spec's.
        labels: in place of the spec's.
        metrics: split to metric to value.
        licences: of what ("model", "weights", "data") to which; None takes what catalogue and spec know.
        tokenizer: file name to content.
        exports: file name to content, or to a file that is copied.
        model_class: what builds the network, where that is a class or function of your own.
        options: what `model_class` is called with: plain data.

    Returns:
        The path.

    Raises:
        CheckpointError: the network cannot be built again from plain data, or something given is no plain data.
        StorageError: it could not be written. What stood there before is untouched.

    Example:
        >>> import tempfile, scirs_neural as sn
        >>> net = sn.create_model("cnn", num_classes=2, depth=1, width=4)
        >>> file = save_package(Path(tempfile.mkdtemp()) / "net.zip", net, labels=["cat", "dog"])
        >>> load_package(file).labels
        ('cat', 'dog')
    """
    from scirs_neural.guard.tensor_bytes import to_bytes
    from scirs_neural.serialization.architecture import describe, unwrapped

    path, model = Path(path).expanduser(), unwrapped(model)
    described = describe(model, model_class, options)
    check(MODEL, described, str(path))
    state = _state(model)
    preprocess = preprocess or (Preprocess.of(spec.input) if spec and spec.input["kind"] == "image" else None)
    labels = labels if labels is not None else (spec.target.get("classes") if spec else None)
    documents: dict[str, Any] = {MODEL: described}
    if preprocess is not None:
        documents[PREPROCESS] = {
            "kind": "image",
            **{k: v for k, v in _listed(asdict(preprocess)).items() if k != "value_range"},
        }
    if labels is not None:
        documents[LABELS] = {"names": list(labels), "multi_label": bool(spec and spec.target["kind"] == "labels")}
    if metrics is not None:
        documents[METRICS] = {split: dict(values) for split, values in metrics.items()}
    for member, plain in documents.items():
        check(member, plain, str(path))
    label = described.get("name") or type(model).__name__
    facts = new_facts(
        name=name or (f"{spec.name}-{label}" if spec else label),
        task="image_classification" if spec else None,
        licences=_licences(described, spec) if licences is None else licences,
        data=None if spec is None else {
            "name": spec.name, "description": spec.description, "sizes": dict(spec.sizes),
        },
    )  # fmt: skip

    contents = {member: Content.of(dump(plain)) for member, plain in documents.items()}
    contents[WEIGHTS] = Content.of(*to_bytes(state))
    for prefix, files in (("tokenizer", tokenizer or {}), ("exports", exports or {})):
        for file, content in files.items():
            held = Content.of(content) if isinstance(content, bytes) else Content.of_file(content)
            contents[f"{prefix}/{file}"] = held
    check_names(contents, str(path))
    write_package(path, contents, lambda members: seal(facts, members)[1])
    return path


def load_package(path: str | Path, model_class: ModelClass | None = None) -> Package:
    """Load a package: the network in evaluation mode, and what goes with it.

    Nothing that the package says is imported or run: names are looked up in the library's own tables, and a class of
    the user's must be given.

    The network's memory is the file itself, mapped: nothing is copied until it is changed, and the file is not changed
    by that. Every bit is held to a checksum first (CRC-32 of the weights, SHA-256 of the rest); `verify_package` holds
    all of it to SHA-256.

    Args:
        path: a folder or a zip. It may be replaced or removed while the network is used, but not written into.
        model_class: for a package of a network of your own: its class, or a function that builds it.

    Raises:
        CheckpointError: it is damaged, newer than this library, or names something that this library does not have.
        UnknownNameError: a network or layer of no registered name.
    """
    from scirs_neural.guard.tensor_bytes import tensors_in
    from scirs_neural.serialization.architecture import fill, rebuild

    with open_package(path) as contents:
        state = tensors_in(contents.map(WEIGHTS), f"{contents.where}, {WEIGHTS}")
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        model = rebuild(contents.documents[MODEL], shapes, model_class, contents.where)
        fill(model, state, contents.where)
        return _package(contents, model.eval())


def inspect_package(path: str | Path) -> PackageFacts:
    """What a package says of itself. Nothing is built, and torch is not needed.

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
        StorageError: it could not be written.
    """
    target = Path(target).expanduser()
    with open_package(path) as contents:
        contents.check_members(names=tuple(contents.manifest.members))
        facts = contents.manifest.model_dump(exclude={"format", "version", "members", "digest"})

        def pieces(name: str) -> Iterator[bytes]:
            with open_archive(path) as own:  # of its own, for two threads read it at once
                yield from own.pieces(name)

        members = {
            name: Content.of(dump(contents.plain[name])) if name in contents.plain
            else Content(contents.archive.size(name), partial(pieces, name))
            for name in contents.manifest.members
        }  # fmt: skip
        write_package(target, members, lambda sums: seal(facts, sums)[1])
    return target


def _package(contents: Contents, model: nn.Module) -> Package:
    manifest = contents.manifest
    held: PreprocessFile | None = contents.documents.get(PREPROCESS)
    labels: LabelsFile | None = contents.documents.get(LABELS)
    preprocess = None if held is None else Preprocess(
        held.channels, (held.size[0], held.size[1]), held.resize, held.interpolation, tuple(held.mean), tuple(held.std)
    )  # fmt: skip
    spec = None
    if preprocess is not None and labels is not None and manifest.task is not None:
        data = manifest.data
        spec = DataSpec.from_dict(migrate({
            "name": data.name if data else manifest.name, "task": manifest.task, "classes": list(labels.names),
            "preprocess": _listed(asdict(preprocess)), "sizes": dict(data.sizes) if data else {},
            "multi_label": labels.multi_label, "description": data.description if data else "",
            "licence": manifest.licences.get("data", ""),
        }))  # fmt: skip
    return Package(
        contents.archive.path, manifest, model, spec, preprocess, tuple(labels.names) if labels else None,
        contents.documents.get(METRICS, {}), tuple(name for name in manifest.members if "/" in name),
    )  # fmt: skip


def _state(model: nn.Module) -> dict[str, Any]:
    """The values of a network.

    Raises:
        CheckpointError: some are no plain tensors, or tensors without values.
    """
    import torch
    from torch import nn

    state = model.state_dict()
    for name, held in state.items():
        is_plain = type(held) in (torch.Tensor, nn.Parameter) and held.layout is torch.strided and not held.is_quantized
        if not is_plain:
            raise CheckpointError(
                f"'{name}' is a {type(held).__name__}, and version {VERSION} of the format has plain tensors only",
                fix="a quantized network leaves as an export: put its file into exports=",
            )
        if held.device.type == "meta":
            raise CheckpointError(f"'{name}' has no values: the network was built on the meta device")
    return state


def _listed(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def _licences(described: Mapping[str, Any], spec: DataSpec | None) -> dict[str, str]:
    from scirs_neural.models.catalog import catalogue

    entry = catalogue().get(described["name"]) if described["kind"] == "zoo" else None
    found = {"model": entry.licence if entry else "", "data": spec.licence if spec else ""}
    return {what: licence for what, licence in found.items() if licence}
