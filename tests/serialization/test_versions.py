"""What was written once is read for ever; what is newer is refused whole."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError
from scirs_neural.serialization.migrate import MIGRATIONS, from_1_to_2
from scirs_neural.serialization.schema import VERSION
from tests.serialization.nets import NETS, OWN
from tests.serialization.parts import TASKS_OF

GOLDEN = Path(__file__).parent / "golden"
PACKAGES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v*/*.zip"))
OLD = "is of version 0 of the format"
SHAPES = {
    "format": 2, "name": "shapes", "sizes": {"train": 90, "val": 10, "test": 20}, "pipeline": "fields",
    "description": "imagined shapes", "licence": "CC0-1.0",
    "inputs": {"image": {
        "kind": "image", "version": 1, "channels": 1, "size": [8, 8], "resize": None, "interpolation": "bilinear",
        "mean": [0.5], "std": [0.25],
    }},
    "targets": {"label": {"kind": "class", "version": 1, "classes": ["circle", "square", "star"]}},
}  # fmt: skip


def load(path: Path) -> sn.Package:
    made = OWN.get(path.stem, (None,))[0]
    if path.parent.name == "v0":
        with pytest.warns(FutureWarning, match=OLD):
            return sn.load_package(path, made)
    return sn.load_package(path, made)


@pytest.mark.feature(109)
@pytest.mark.feature(110)
@pytest.mark.parametrize("name", PACKAGES)
def test_golden_packages_give_the_outputs_of_their_day(name: str) -> None:
    held = load_file((GOLDEN / name).with_suffix(".io.safetensors"))
    package = load(GOLDEN / name)
    with torch.no_grad():
        output = package.model.float()(held["input"].clone())
    torch.testing.assert_close(output, held["output"], rtol=0, atol=1e-5)


def test_golden_files_are_as_they_were_written() -> None:
    hashes = json.loads((GOLDEN / "hashes.json").read_text())
    files = {path.relative_to(GOLDEN).as_posix(): path for path in GOLDEN.glob("v*/*")}
    assert files.keys() == hashes.keys()
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == hashes[name], name
        assert path.stat().st_size <= 64 * 1024


def test_there_are_golden_packages_of_every_version_and_kind() -> None:
    for version in range(VERSION + 1):
        assert list((GOLDEN / f"v{version}").glob("*.zip"))
    for folder in ("v1/", "v1-crc32/"):
        assert {Path(name).stem for name in PACKAGES if name.startswith(folder)} == set(NETS)
    assert {Path(name).stem for name in PACKAGES if name.startswith("v2/")} == {*NETS, *TASKS_OF, "plugin"}
    assert set(MIGRATIONS) == set(range(VERSION))


@pytest.mark.parametrize("name", [name for name in PACKAGES if not name.startswith("v0")])
def test_golden_packages_of_released_versions_are_whole(name: str) -> None:
    assert sn.verify_package(GOLDEN / name).version == int(name[1])


@pytest.mark.parametrize("folder", ["v1", "v1-crc32"])
def test_packages_of_version_1_get_a_spec_and_a_task(folder: str, tmp_path: Path) -> None:
    package = load(GOLDEN / folder / "zoo-cnn.zip")
    assert package.spec is not None
    assert package.spec.to_dict() == SHAPES
    assert package.task_record == {"name": "classification", "version": 1, "options": {}}
    assert (package.answer, package.plugins, package.manifest.migrated_from) == ({}, (), 1)
    path = sn.migrate_package(GOLDEN / folder / "zoo-cnn.zip", tmp_path / "new.zip")
    facts = sn.verify_package(path)
    assert (facts.version, facts.documents["spec.json"]) == (2, SHAPES)
    with torch.no_grad():
        x = torch.randn(2, 1, 8, 8)
        assert torch.equal(sn.load_package(path).model(x), package.model(x))


def of_version_1(task: str, labels: dict[str, object], image: dict[str, object]) -> dict[str, object]:
    manifest = {"name": "a", "task": task, "licences": {}, "data": None, "migrated_from": None}
    model = {"kind": "zoo", "name": "mlp", "plans": []}
    return {"manifest.json": manifest, "model.json": model, "labels.json": labels, "preprocess.json": image}


def test_other_tasks_of_version_1(tmp_path: Path) -> None:
    image = SHAPES["inputs"]["image"] | {"channels": 3, "size": [1, 1], "mean": [1.0, 2.0, 3.0], "std": [0.5] * 3}
    row = from_1_to_2(of_version_1("table_classification", {"names": ["x", "y"], "multi_label": False}, image))
    assert row["spec.json"]["inputs"] == {"row": {"kind": "table", "version": 1, "columns": [
        {"name": f"column_{i}", "type": "number", "mean": i + 1.0, "std": 0.5} for i in range(3)
    ]}}  # fmt: skip
    assert row["spec.json"]["targets"].keys() == {"target"}
    assert row["task.json"]["name"] == "classification"
    many = from_1_to_2(of_version_1("image_classification", {"names": ["x", "y"], "multi_label": True}, image))
    assert many["task.json"]["name"] == "multi_label"
    assert many["spec.json"]["targets"]["label"]["kind"] == "labels"
    number = from_1_to_2(of_version_1("regression", {"names": ["x"], "multi_label": False}, image))
    assert "task.json" not in number  # such a package lacks what its outputs are scaled by
    assert number["spec.json"]["targets"] == {}


@pytest.mark.parametrize("target", ["new.zip", "new"])
@pytest.mark.parametrize("name", [name for name in PACKAGES if name.startswith("v0/")])
def test_migrated_packages_are_of_the_newest_version_and_give_the_same(name: str, target: str, tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match=OLD):
        path = sn.migrate_package(GOLDEN / name, tmp_path / target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = sn.verify_package(path)
        package = sn.load_package(path)
    assert (facts.version, facts.manifest.migrated_from) == (VERSION, 0)
    assert facts.manifest.created == "2026-11-23T00:00:00Z"
    assert package.metrics == {"test": {"accuracy": 0.875}}
    assert package.spec is not None
    bare = {"sizes": {}, "description": "", "licence": "", "name": facts.manifest.name}
    assert package.spec.to_dict() == SHAPES | bare
    assert package.task_record == {"name": "classification", "version": 1, "options": {}}
    held = load_file((GOLDEN / name).with_suffix(".io.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(package.model(held["input"].clone()), held["output"], rtol=0, atol=1e-5)


def test_damaged_packages_of_version_0_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "v0" / "zoo-mlp.zip") as archive:
        archive.extractall(tmp_path / "old")
    for name in ("config.json", "weights.safetensors", "labels.txt"):
        path = tmp_path / "old" / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.warns(FutureWarning, match=OLD), pytest.raises(CheckpointError, match=f"{name} is damaged"):
            sn.load_package(tmp_path / "old")
        path.write_bytes(content)
    (tmp_path / "old" / "more.txt").write_text("x")
    with pytest.warns(FutureWarning, match=OLD), pytest.raises(CheckpointError, match="not those of the manifest"):
        sn.load_package(tmp_path / "old")


@pytest.mark.feature(109)
@pytest.mark.parametrize("version", [3, 4, 10**9])
def test_newer_packages_are_refused_whole_with_the_reason(version: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "v1" / "zoo-mlp.zip") as archive:
        archive.extractall(tmp_path / "new")
    path = tmp_path / "new" / "manifest.json"
    plain = {**json.loads(path.read_text()), "version": version, "a new key": [1], "libraries": {"scirs-neural": "9.1"}}
    path.write_text(json.dumps(plain))
    for look in (sn.load_package, sn.inspect_package, sn.verify_package):
        with pytest.raises(
            CheckpointError, match=f"of version {version} of the format, and this library reads"
        ) as caught:
            look(tmp_path / "new")
        assert "pip install -U scirs-neural (the package was written with 9.1)" in str(caught.value)


@pytest.mark.parametrize("version", [-1, 1.0, "1", None, True, [1]])
def test_what_is_no_version_is_refused(version: object, tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "v1" / "zoo-mlp.zip") as archive:
        archive.extractall(tmp_path / "new")
    path = tmp_path / "new" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    with pytest.raises(CheckpointError, match="not that of a package"):
        sn.load_package(tmp_path / "new")


def test_the_promise_is_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    assert re.search(r"read by every later release", page)
    assert re.search(r"at least two minor releases", page)
    assert "FutureWarning" in page
