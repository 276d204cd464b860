"""Packages of this format that were tampered with."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guard.attacks.archives import raw_zip
from tests.guard.attacks.corpus import COMMAND, Cases, family, flipped, one, put, tensor_file
from tests.guard.attacks.pickles import calls_pickled


def package(folder: Path, name: str = "net", **options: Any) -> Path:
    """An honest package, as a folder."""
    import torch

    from scirs_neural import create_model
    from scirs_neural.data.image.spec import Preprocess
    from scirs_neural.data.spec import DataSpec
    from scirs_neural.serialization import save_package

    torch.manual_seed(0)
    image = Preprocess(1, (8, 8), None, "bilinear", (0.5,), (0.25,)).to_spec()
    spec = DataSpec("net", {"image": image}, {"label": {"kind": "class", "version": 1, "classes": ["a", "b"]}})
    return save_package(folder / name, create_model("cnn", num_classes=2, depth=1, width=4), spec=spec)


def resealed(path: Path, change: Callable[[dict[str, Any]], Any] = lambda manifest: None) -> Path:
    """Give a changed package sizes, hashes and a digest that fit, as an attacker would."""
    import hashlib

    plain = json.loads((path / "manifest.json").read_text())
    plain["members"] = {
        file.relative_to(path).as_posix(): {
            "size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()
        }
        for file in sorted(path.rglob("*")) if file.is_file() and file.name != "manifest.json"
    }  # fmt: skip
    change(plain)
    plain["digest"] = "0" * 64
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    put(path / "manifest.json", text.replace("0" * 64, digest, 1) if "0" * 64 in text else text)
    return path


def variants(folder: Path, changes: dict[str, Callable[[Path], Any]]) -> Cases:
    """One package a change: the change gets the folder."""
    import shutil

    original = package(folder, "original")
    for name, change in changes.items():
        path = folder / name.replace("/", "_")
        shutil.copytree(original, path)
        change(path)
        yield name, path


def edit(member: str, change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    """Change a JSON member and seal the package again."""

    def apply(path: Path) -> None:
        plain = json.loads((path / member).read_text())
        changed = change(plain)
        put(path / member, json.dumps(plain if changed is None else changed))
        resealed(path)

    return apply


def manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return lambda path: resealed(path, change)


@family("package")
def package_manifests(folder: Path) -> Cases:
    def text(change: Callable[[str], str | bytes]) -> Callable[[Path], Any]:
        return lambda path: put(path / "manifest.json", change((path / "manifest.json").read_text()))

    yield from variants(folder, {
        "gone": lambda path: (path / "manifest.json").unlink(),
        "empty": text(lambda old: ""), "half": text(lambda old: old[:200]), "list": text(lambda old: "[]"),
        "number": text(lambda old: "7"), "spoiled": text(lambda old: old.replace("a", "b", 1)),
        "digest": text(lambda old: old.replace('"digest": "', '"digest": "0', 1)),
        "deep": text(lambda old: "[" * 100_000), "pickle": text(lambda old: calls_pickled()),
        "name changed": text(lambda old: old.replace('"name"', '"title"', 1)),
        "more keys": manifest(lambda plain: plain.update(code="x")),
        "no members": manifest(lambda plain: plain.pop("members")),
        "wrong type": manifest(lambda plain: plain.update(name=5)),
        "wrong format": manifest(lambda plain: plain.update(format="other")),
        "time": manifest(lambda plain: plain.update(created="yesterday")),
        "size text": manifest(lambda plain: plain["members"]["model.json"].update(size="3")),
        "long text": manifest(lambda plain: plain.update(name="x" * 100_000)),
    })  # fmt: skip


@family("package")
def package_versions(folder: Path) -> Cases:
    values = {
        "older": 1,
        "newer": 3,
        "much newer": 10**6,
        "negative": -1,
        "text": "1",
        "fraction": 1.5,
        "truth": True,
        "none": None,
    }
    yield from variants(folder, {
        name: manifest(lambda plain, value=value: plain.update(version=value)) for name, value in values.items()
    })  # fmt: skip


@family("package")
def package_members(folder: Path) -> Cases:
    def listed(name: str) -> Callable[[Path], Any]:
        honest = {"size": 1, "sha256": "0" * 64}
        return manifest(lambda plain: plain["members"].update({name: honest}))

    yield from variants(folder, {
        "extra file": lambda path: put(path / "extra.bin", "x"),
        "extra and listed": lambda path: resealed(put(path / "extra.bin", "x").parent),
        "script": lambda path: resealed(put(path / "setup.py", "import os").parent),
        "missing weights": lambda path: (path / "weights.safetensors").unlink(),
        "missing model": lambda path: (path / "model.json").unlink(),
        "missing and unlisted": lambda path: [(path / "model.json").unlink(), resealed(path)],
        "listed above": listed("../secret"), "listed absolute": listed("/etc/passwd"), "listed link": listed("exports/../x"),
        "wrong size": manifest(lambda plain: plain["members"]["model.json"].update(size=1)),
        "wrong hash": manifest(lambda plain: plain["members"]["model.json"].update(sha256="1" * 64)),
        "weights of another hash": manifest(
            lambda plain: plain["members"]["weights.safetensors"].update(sha256="1" * 64)
        ),
        "flipped weights": lambda path: put(
            path / "weights.safetensors", flipped((path / "weights.safetensors").read_bytes(), -3 % 1000 + 400)
        ),
        "case": lambda path: put(path / "MODEL.JSON", "{}"),
        "link": lambda path: [(path / "spec.json").unlink(), (path / "spec.json").symlink_to("/etc/passwd")],
    })  # fmt: skip


@family("package")
def package_models(folder: Path) -> Cases:
    """Networks that a package must not have: code, files, other libraries' classes, sizes without end."""

    def builder(spec: Any) -> Callable[[Path], Any]:
        return edit("model.json", lambda plain: {"kind": "builder", "spec": spec, "modifications": []})

    code = f"__import__('os').system('{COMMAND}')"
    yield from variants(folder, {
        "target": edit("model.json", lambda plain: plain.update(_target_="os.system")),
        "target option": edit("model.json", lambda plain: plain["options"].update(_target_="os.system")),
        "target in option": edit("model.json", lambda plain: plain["options"].update(width={"_target_": "os.system"})),
        "target in modification": edit("model.json", lambda plain: plain["modifications"].append({"_target_": "os.system"})),
        "name of a file": edit("model.json", lambda plain: plain.update(name="./evil.py:Net")),
        "name of a module": edit("model.json", lambda plain: plain.update(name="os:system")),
        "unknown name": edit("model.json", lambda plain: plain.update(name="resnet51")),
        "weights option": edit("model.json", lambda plain: plain["options"].update(weights="/etc/passwd")),
        "interpolation": edit("model.json", lambda plain: plain.update(num_classes="${oc.env:HOME}")),
        "class": edit("model.json", lambda plain: {
            "kind": "class", "name": "system", "module": "os", "options": {"command": COMMAND}, "modifications": []}),
        "kind": edit("model.json", lambda plain: plain.update(kind="pickle")),
        "huge": edit("model.json", lambda plain: plain["options"].update(width=2**20)),
        "deep": edit("model.json", lambda plain: plain["options"].update(depth=10**6)),
        "negative": edit("model.json", lambda plain: plain["options"].update(width=-4)),
        "other classes": edit("model.json", lambda plain: plain.update(num_classes=3)),
        "many classes": edit("model.json", lambda plain: plain.update(num_classes=2**31)),
        "builder file": builder(["./evil.py:Net"]), "builder code": builder([{"concat": {"dim": code}}]),
        "builder input": builder({"inputs": {f"x=({code})": [3]}, "layers": [], "outputs": f"x=({code})"}),
        "builder nothing": builder([]), "builder text": builder(code),
        "builder huge": builder({"input_shape": [3], "layers": [{"linear": 2**40}]}),
        "list": edit("model.json", lambda plain: []), "deep json": lambda path: resealed(
            put(path / "model.json", "[" * 1000 + "]" * 1000).parent),
    })  # fmt: skip


@family("package")
def package_modifications(folder: Path) -> Cases:
    def change(**held: Any) -> Callable[[Path], Any]:
        return edit("model.json", lambda plain: plain["modifications"].append(held))

    yield from variants(folder, {
        "unknown": change(kind="exec", code="x"), "no such module": change(kind="channels", modules={"x.y": {}}, tensors={}),
        "dunder": change(kind="channels", modules={"__class__": {"__init__": 1}}, tensors={}),
        "attribute": change(kind="settings", modules={"": {"forward": 1}}),
        "class": change(kind="settings", modules={"": {"__class__": "os"}}),
        "huge tensor": change(kind="channels", modules={}, tensors={"head.weight": [2**45, 2**45]}),
        "negative": change(kind="channels", modules={}, tensors={"head.weight": [-1, 2]}),
        "text": change(kind="channels", modules="x", tensors=[]),
    })  # fmt: skip


@family("package")
def package_weights(folder: Path) -> Cases:
    """Weights of another dtype or shape, under other names, or of another format, honestly sealed."""

    def weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
        def apply(path: Path) -> None:
            from safetensors.torch import load_file, save_file

            tensors = load_file(path / "weights.safetensors")
            changed = change(tensors)
            save_file(tensors if changed is None else changed, path / "weights.safetensors")
            resealed(path)

        return apply

    def first(tensors: dict[str, Any]) -> str:
        return next(name for name in sorted(tensors) if name.endswith("weight") and tensors[name].dim() > 1)

    def raw(content: bytes) -> Callable[[Path], Any]:
        return lambda path: resealed(put(path / "weights.safetensors", content).parent)

    import torch

    yield from variants(folder, {
        "missing": weights(lambda held: {name: held[name] for name in held.keys() - {first(held)}}),
        "more": weights(lambda held: held.update(evil=torch.ones(1))),
        "renamed": weights(lambda held: held.update(x=held.pop(first(held)))),
        "longer": weights(lambda held: held.update({first(held): torch.zeros(9, 9, 9, 9)})),
        "turned": weights(lambda held: held.update({first(held): held[first(held)].transpose(0, 1).contiguous()})),
        "flat": weights(lambda held: held.update({first(held): held[first(held)].flatten()})),
        "whole numbers": weights(lambda held: held.update({first(held): held[first(held)].to(torch.int64)})),
        "complex": weights(lambda held: held.update({first(held): held[first(held)].to(torch.complex64)})),
        "truth": weights(lambda held: held.update({first(held): held[first(held)] > 0})),
        "none": weights(lambda held: {}), "pickle": raw(calls_pickled()), "cut": raw(tensor_file(one(), bytes(3))),
        "empty": raw(b""), "huge header": raw(tensor_file(b"{}", b"", 1 << 40)),
    })  # fmt: skip


@family("package")
def package_documents(folder: Path) -> Cases:
    """Specs, tasks, plugins and answers that name code, or are of other kinds than the registries have."""

    def field(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
        return edit("spec.json", lambda plain: change(plain["targets"]["label"]))

    def record(member: str, plain: Any) -> Callable[[Path], Any]:
        return lambda path: resealed(put(path / member, json.dumps(plain)).parent)

    yield from variants(folder, {
        "classes of numbers": field(lambda label: label.update(classes=[1, 2])),
        "classes as target": field(lambda label: label.update(classes={"_target_": "os.system"})),
        "kind of a module": field(lambda label: label.update(kind="os:system")),
        "kind of a file": field(lambda label: label.update(kind="./evil.py:Field")),
        "unknown kind": field(lambda label: label.update(kind="evil")),
        "no fields": edit("spec.json", lambda plain: plain.update(inputs=COMMAND)),
        "pipeline": edit("spec.json", lambda plain: plain.update(pipeline="os:system")),
        "spec twice": lambda path: resealed(put(path / "spec.json", '{"format": 2, "format": 2}').parent),
        "spec list": lambda path: resealed(put(path / "spec.json", "[]").parent),
        "task of a module": record("task.json", {"name": "os:system", "version": 1, "options": {}}),
        "task of a file": record("task.json", {"name": "./evil.py:Task", "version": 1, "options": {}}),
        "unknown task": record("task.json", {"name": "evil", "version": 1, "options": {"command": COMMAND}}),
        "task target": record("task.json", {"_target_": "os.system"}),
        "plugin of a module": record("plugins.json", [{"name": "os:system", "version": 1, "record": {}}]),
        "unknown plugin": record("plugins.json", [{"name": "evil", "version": 1, "record": {"command": COMMAND}}]),
        "plugin target": record("plugins.json", [{"_target_": "os.system"}]),
        "answer list": record("answer.json", [COMMAND]),
        "distribution": manifest(lambda plain: plain["parts"].append(
            {"kind": "task", "name": "a", "distribution": f"x; {COMMAND}", "version": "1"})),
        "metrics text": lambda path: resealed(put(path / "metrics.json", '{"test": {"accuracy": "x"}}').parent),
        "metrics nan": lambda path: resealed(put(path / "metrics.json", '{"test": {"accuracy": NaN}}').parent),
        "metrics list": lambda path: resealed(put(path / "metrics.json", "[]").parent),
    })  # fmt: skip


@family("package")
def package_zips(folder: Path) -> Cases:
    """Zips around honest members, made by others or spoiled."""
    from scirs_neural.serialization import save_package

    del save_package
    original = package(folder, "original")
    members = [(file.relative_to(original).as_posix().encode(), file.read_bytes())
               for file in sorted(original.rglob("*")) if file.is_file()]  # fmt: skip
    honest = raw_zip(members)
    lies = {
        "before": b"#!/bin/sh\n" + honest, "behind": honest + b"x", "half": honest[: len(honest) // 2],
        "twice": raw_zip([*members, members[0]]), "slip": raw_zip([*members, (b"../canary", b"x")]),
        "link": raw_zip(members, central={"mode": stat.S_IFLNK | 0o777}), "crc": raw_zip(members, local={"crc": 1}),
        "flipped": flipped(honest, len(honest) // 2), "case": raw_zip([*members, (b"Manifest.json", b"{}")]),
        "encrypted": raw_zip(members, central={"flags": 0x801}, local={"flags": 0x801}),
        "extra": raw_zip([*members, (b"code.py", b"x")]), "empty": raw_zip([]), "nothing": b"",
    }  # fmt: skip
    for name, content in lies.items():
        yield name, put(folder / f"{name}.zip", content)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name.decode(), content)
        made.writestr("exports/zeros.bin", bytes(30 << 20))
    yield "bomb", folder / "bomb.zip"
