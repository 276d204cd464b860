"""Writes golden packages that are not there yet: ``python -m tests.serialization.golden.make``.

A golden package is never written again: it stands for every package that a release of its time wrote. ``v2/NAME.zip``
is the package, ``v2/NAME.io.safetensors`` an input and the output of that day. ``hashes.json`` holds both to their
bytes. Those in ``v1/`` have no checksum in their manifest, and weights as safetensors lays them out; ``v1-crc32/`` is
what was written after. Version 2 stores the data spec, the task and the records of plugins. Version 0 was never
released and has no writer in the library; its writer is below.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import torch

from scirs_neural.guard import write_state_dict
from scirs_neural.serialization import save_package
from tests.serialization.nets import NETS, OWN, net
from tests.serialization.parts import TASKS_OF, Adapter, net_of

FOLDER = Path(__file__).parent
VERSION = "v2"  # what the library writes today
CREATED = "1795392000"  # 2026-11-23 00:00 UTC
VERSION_0 = ("zoo-cnn", "zoo-mlp", "builder-sequential")


def main() -> None:
    os.environ["SOURCE_DATE_EPOCH"] = CREATED
    torch.set_num_threads(1)
    for name in NETS:
        target = FOLDER / VERSION / f"{name}.zip"
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            model, x = net(name)
            made, options = OWN.get(name, (None, None))
            save_package(target, model, name=f"golden-{name}", model_class=made, options=options)
            _keep_output(target, model, x)
    for name, (spec, task) in TASKS_OF.items():
        target = FOLDER / VERSION / f"{name}.zip"
        if not target.exists():
            model, x = net_of(name)
            metrics = {"test": {"accuracy": 0.875}}
            save_package(target, model, name=f"golden-{name}", spec=spec, task=task, metrics=metrics)
            _keep_output(target, model, x)
    target = FOLDER / VERSION / "plugin.zip"
    if not target.exists():
        plugin, (model, x) = Adapter(scale=torch.tensor([0.5, 1.0, 2.0])), net_of("image-classification")
        model = plugin.prepare(model, None, None)
        spec, task = TASKS_OF["image-classification"]
        save_package(target, model, name="golden-plugin", spec=spec, task=task, answer={"k": 2}, plugins=[plugin])
        _keep_output(target, model, x)
    for name in VERSION_0:
        target = FOLDER / "v0" / f"{name}.zip"
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            model, x = net(name)
            _write_0(target, name, model)
            _keep_output(target, model, x)
    packages = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".zip", ".safetensors"))
    hashes = {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in packages}
    (FOLDER / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n")


def _keep_output(target: Path, model: torch.nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        output = model.float()(x.float())  # of half precision too: its own sums differ between machines
        write_state_dict(target.with_suffix(".io.safetensors"), {"input": x.float(), "output": output})


def _write_0(target: Path, name: str, model: torch.nn.Module) -> None:
    """A package as version 0 had it (docs/format.md)."""
    config: dict[str, object]
    if name.startswith("zoo"):
        kwargs = {
            "zoo-cnn": {"num_classes": 3, "depth": 2, "width": 4},
            "zoo-mlp": {"num_classes": 3, "input_size": 4, "hidden": [8, 5]},
        }[name]
        config = {"model": name.removeprefix("zoo-"), "kwargs": kwargs}
    else:
        config = {"network": model.to_spec()}
    weights = target.with_suffix(".safetensors")
    write_state_dict(weights, model.state_dict())
    files = {
        "config.json": json.dumps(config).encode(),
        "weights.safetensors": weights.read_bytes(),
        "labels.txt": b"circle\nsquare\nstar\n",
        "preprocess.json": json.dumps(
            {"channels": 1, "size": [8, 8], "resize": None, "interpolation": "bilinear", "mean": [0.5], "std": [0.25]}
        ).encode(),
        "metrics.json": json.dumps({"test/accuracy": 0.875}).encode(),
    }
    weights.unlink()
    manifest = {
        "format_version": 0, "name": f"golden-{name}", "task": "image_classification",
        "created": "2026-11-23T00:00:00Z",
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    }  # fmt: skip
    with zipfile.ZipFile(target, "w") as archive:
        for file, content in {"manifest.json": json.dumps(manifest).encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(file), content)


if __name__ == "__main__":
    main()
