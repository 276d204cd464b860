"""Packages of every kind of network, saved once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import scirs_neural as sn
from scirs_neural.serialization import save_package
from scirs_neural.serialization.convert import Converted, convert
from tests.serialization.files import write_all
from tests.serialization.nets import NETS, OWN, net
from tests.serialization.parts import Adapter

TASK = {"name": "classification", "version": 1, "options": {"label_smoothing": 0.1}}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "format.md"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Tensor, Tensor]]:
    """By name: a package, an input, and what the network gave before it was saved. Every second one is a folder."""
    folder = tmp_path_factory.mktemp("packages")
    found = {}
    for number, name in enumerate(NETS):
        model, x = net(name)
        made, options = OWN.get(name, (None, None))
        path = folder / (name if number % 2 else f"{name}.zip")
        save_package(path, model, model_class=made, options=options)
        with torch.no_grad():
            found[name] = (path, x, model(x))
    return found


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Tensor, Tensor]:
    """By kind: a file of the network "zoo-cnn"; then an input and the network's output."""
    return write_all(tmp_path_factory.mktemp("formats"))


@pytest.fixture(scope="session")
def graph(written, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The same network as an ONNX file, written by `convert`."""
    return convert(written[0]["package"], tmp_path_factory.mktemp("onnx") / "net.onnx")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a few kilobytes with all that a package can have, as a folder and as a zip beside it."""
    folder = tmp_path_factory.mktemp("small")
    spec = sn.create_data("digits", image_size=4).spec
    plugin = Adapter(scale=torch.rand(10))
    model = plugin.prepare(sn.create_model("mlp", num_classes=10, input_size=4, hidden=[3]), None, None)
    for name in ("net", "net.zip"):
        sn.save_package(
            folder / name, model, spec=spec, task=TASK, answer={"threshold": 0.5}, plugins=[plugin],
            metrics={"test": {"accuracy": 0.5}}, tokenizer={"words.txt": b"a\nb"}, exports={"note.bin": PAGE},
        )  # fmt: skip
    return folder
