"""Every pair of formats that means something: what was converted gives what the source gave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, ConfigError, ParityError, RefusedError, StorageError
from scirs_neural.data.image.spec import Preprocess
from scirs_neural.data.spec import DataSpec
from scirs_neural.serialization.convert import convert
from scirs_neural.serialization.describe import describe_file
from scirs_neural.serialization.sources import read_source
from tests.serialization.files import NETWORK, outputs, same_state
from tests.serialization.nets import OwnNet, net
from tests.serialization.parts import Adapter, _task

READ = ("package", "safetensors", "torch", "torch-stream", "lightning", "huggingface", "torch-export")
WEIGHTS = {"safetensors": "b.safetensors", "torch": "b.pt", "huggingface": "b", "package": "b.zip"}
PROGRAMS = {"torch-export": "b.pt2", "onnx": "b.onnx"}


@pytest.mark.feature(126)
@pytest.mark.parametrize("target", WEIGHTS)
@pytest.mark.parametrize("source", READ)
def test_every_pair_keeps_the_outputs(written, source: str, target: str, tmp_path: Path) -> None:
    paths, x, output = written
    named = {} if source == "package" else NETWORK
    done = convert(paths[source], tmp_path / WEIGHTS[target], **named)
    assert (done.source, done.target, done.difference) == (source, target, 0.0)
    back = {} if target == "package" or target == "huggingface" else NETWORK  # these two say what network it is
    convert(done.path, tmp_path / "again.zip", **back)
    package = sn.load_package(tmp_path / "again.zip")
    assert torch.equal(outputs(package.model, x), output)
    assert same_state(dict(package.model.state_dict()), dict(net("zoo-cnn")[0].state_dict()))


@pytest.mark.parametrize("source", READ)
def test_weights_are_read_as_their_owner_wrote_them(written, source: str) -> None:
    paths, _, _ = written
    if source == "package":
        return
    found = read_source(paths[source])
    state = {name.removeprefix("net."): tensor for name, tensor in found.state.items()}
    assert found.kind == source
    assert same_state(state, dict(net("zoo-cnn")[0].state_dict()))


def test_outputs_of_other_libraries_are_the_same(written, tmp_path: Path) -> None:
    paths, x, output = written
    convert(paths["package"], tmp_path / "a.safetensors")
    convert(paths["package"], tmp_path / "a.pth")
    for state in (load_file(tmp_path / "a.safetensors"), torch.load(tmp_path / "a.pth", weights_only=True)):
        model = sn.create_model("cnn", num_classes=3, depth=2, width=4)
        model.load_state_dict(state)
        assert torch.equal(outputs(model, x), output)


@pytest.mark.feature(126)
def test_a_program_of_torch_export_gives_the_outputs_for_any_number_of_samples(written, tmp_path: Path) -> None:
    paths, x, output = written
    done = convert(paths["package"], tmp_path / "net.pt2")
    assert (done.compared, done.difference) == ("outputs", 0.0)
    program = torch.export.load(tmp_path / "net.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(x), output, rtol=0, atol=1e-6)
        assert program(torch.zeros(5, 1, 8, 8)).shape == (5, 3)
    assert same_state(read_source(tmp_path / "net.pt2").state, dict(net("zoo-cnn")[0].state_dict()))


@pytest.mark.feature(126)
def test_an_onnx_graph_gives_the_outputs_in_its_own_runtime(written, graph, tmp_path: Path) -> None:
    _, x, output = written
    assert (graph.target, graph.compared) == ("onnx", "outputs")
    assert graph.difference < 1e-5
    onnx.checker.check_model(onnx.load(graph.path), full_check=True)
    session = onnxruntime.InferenceSession(graph.path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], output.numpy(), rtol=0, atol=1e-5)
    assert session.run(None, {"input": np.zeros((5, 1, 8, 8), "float32")})[0].shape == (5, 3)
    taken = convert(graph.path, tmp_path / "net.safetensors")
    assert (taken.source, taken.compared) == ("onnx", "tensors")
    assert torch.equal(load_file(taken.path)["head.weight"], net("zoo-cnn")[0].head.weight.detach())
    with pytest.raises(CheckpointError, match="the weights do not fit") as caught:  # BatchNorms are folded away
        convert(graph.path, tmp_path / "net.zip", **NETWORK)
    assert "exporters fold layers" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("target", PROGRAMS)
@pytest.mark.parametrize("source", READ)
def test_every_source_becomes_a_program(written, source: str, target: str, tmp_path: Path) -> None:
    paths, x, output = written
    done = convert(paths[source], tmp_path / PROGRAMS[target], **({} if source == "package" else NETWORK))
    if target == "onnx":
        session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
        found = torch.from_numpy(session.run(None, {"input": x.numpy()})[0])
    else:
        found = torch.export.load(done.path).module()(x)
    torch.testing.assert_close(found, output, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["pruned-zoo", "pruned-builder", "builder-functional", "builder-sequential", "zoo-mlp"]
)
def test_networks_of_every_kind_become_onnx(saved, name: str, tmp_path: Path) -> None:
    path, x, output = saved[name]
    done = convert(path, tmp_path / "net.onnx", input_shape=tuple(x.shape[1:]))
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], output.numpy(), rtol=0, atol=1e-5)


def test_slim_and_built_networks_pass_through_a_folder(saved, tmp_path: Path) -> None:
    for name in ("pruned-zoo", "pruned-builder", "builder-functional", "bfloat16"):
        path, x, output = saved[name]
        convert(path, tmp_path / name, input_shape=tuple(x.shape[1:]))
        convert(tmp_path / name, tmp_path / f"{name}.zip", input_shape=tuple(x.shape[1:]))
        assert torch.equal(outputs(sn.load_package(tmp_path / f"{name}.zip").model, x), output), name


def test_what_goes_with_a_network_passes_through_a_folder(tmp_path: Path) -> None:
    image = Preprocess(1, (6, 6), 8, "nearest", (0.5,), (0.5,)).to_spec()
    label = {"kind": "class", "version": 1, "classes": ["circle", "square"]}
    spec = DataSpec("shapes", {"image": image}, {"label": label})
    model, task = sn.create_model("mlp", num_classes=2, input_size=6, hidden=[4]), _task("classification")
    sn.save_package(tmp_path / "a.zip", model, spec=spec, task=task)
    convert(tmp_path / "a.zip", tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["id2label"] == {"0": "circle", "1": "square"}
    with safe_open(tmp_path / "hf" / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    convert(tmp_path / "hf", tmp_path / "b.zip")
    package = sn.load_package(tmp_path / "b.zip")
    assert (package.spec, package.task_record) == (spec, task)


def test_what_plugins_did_stays_in_packages(tmp_path: Path) -> None:
    plugin, (model, x) = Adapter(scale=torch.rand(3)), net("zoo-cnn")
    model = plugin.prepare(model, None, None)
    sn.save_package(tmp_path / "a.zip", model, plugins=[plugin])
    convert(tmp_path / "a.zip", tmp_path / "b.zip")
    assert torch.equal(outputs(sn.load_package(tmp_path / "b.zip").model, x), outputs(model, x))
    with pytest.raises(ConfigError, match="no place for what plugins did"):
        convert(tmp_path / "a.zip", tmp_path / "hf")


def test_a_tokenizer_goes_along(written, tmp_path: Path) -> None:
    paths, _, _ = written
    files = {
        "tokenizer.json": b'{"model": {"type": "WordLevel", "vocab": {"cat": 0}}}', "merges.txt": b"c a\nca t\n",
        "tokenizer_config.json": b'{"model_max_length": 1000000000000000019884624838656}',
    }  # fmt: skip
    shutil.copytree(paths["huggingface"], tmp_path / "hf")
    for name, content in files.items():
        (tmp_path / "hf" / name).write_bytes(content)
    convert(tmp_path / "hf", tmp_path / "net.zip", **NETWORK)
    package = sn.load_package(tmp_path / "net.zip")
    assert {name: package.read(f"tokenizer/{name}") for name in files} == files
    convert(tmp_path / "net.zip", tmp_path / "again")
    assert {name: (tmp_path / "again" / name).read_bytes() for name in files} == files
    assert describe_file(tmp_path / "again").facts["tokenizer"] == "WordLevel, 1 words"
    (tmp_path / "hf" / "vocab.json").write_text("[]")
    with pytest.raises(RefusedError, match="it is no mapping"):
        convert(tmp_path / "hf", tmp_path / "other.zip", **NETWORK)


def test_a_folder_of_pickled_weights_is_read_through_the_door(written, tmp_path: Path) -> None:
    paths, _, _ = written
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text('{"time_step_limit": [0.0, Infinity]}')
    shutil.copy(paths["torch"], tmp_path / "hf" / "pytorch_model.bin")
    assert same_state(read_source(tmp_path / "hf").state, dict(net("zoo-cnn")[0].state_dict()))
    assert len(describe_file(tmp_path / "hf").tensors) == len(net("zoo-cnn")[0].state_dict())


def test_hyper_parameters_of_a_lightning_project_come_along_as_plain_data(written, tmp_path: Path) -> None:
    paths, _, _ = written
    expected = {"lr": 0.1, "sizes": [3, 4], "where": "data"}
    convert(paths["lightning"], tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["hyper_parameters"]) == expected
    convert(paths["lightning"], tmp_path / "net")
    assert json.loads((tmp_path / "net" / "config.json").read_text())["hyper_parameters"] == expected
    convert(paths["lightning"], tmp_path / "net.zip", **NETWORK)
    package = sn.load_package(tmp_path / "net.zip")
    assert json.loads(package.read("exports/source.json"))["hyper_parameters"] == expected


def test_networks_of_ones_own_are_named(tmp_path: Path, saved) -> None:
    path, x, output = saved["own-class"]
    done = convert(path, tmp_path / "own.safetensors")  # weights need no class
    assert done.num_tensors == 9
    with pytest.raises(ConfigError, match="needs the network"):
        convert(path, tmp_path / "own.pt2")
    source = Path(__file__).with_name("nets.py")
    options = {"width": 5, "num_classes": 2}
    for origin in (path, tmp_path / "own.safetensors"):
        convert(origin, tmp_path / "own.pt2", model=f"{source}:OwnNet", options=options, input_shape=(4,))
        torch.testing.assert_close(torch.export.load(tmp_path / "own.pt2").module()(x), output, rtol=0, atol=1e-6)
        convert(origin, tmp_path / "again.zip", model=f"{source}:OwnNet", options=options, input_shape=(4,))
        again = sn.load_package(tmp_path / "again.zip", OwnNet)
        assert torch.equal(outputs(again.model, x), output)


def test_a_network_file_names_the_network(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("input_shape: [4]\nlayers: [{linear: 5}, relu, {linear: num_classes}]\n")
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    save_file(dict(model.state_dict()), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="takes no option 'depth'"):
        convert(tmp_path / "w.safetensors", tmp_path / "a.zip", model=str(tmp_path / "net.yaml"), options={"depth": 1})
    convert(
        tmp_path / "w.safetensors", tmp_path / "a.zip", model=str(tmp_path / "net.yaml"), options={"num_classes": 2}
    )
    x = torch.randn(3, 4)
    assert torch.equal(outputs(sn.load_package(tmp_path / "a.zip").model, x), outputs(model, x))


def test_what_cannot_be_converted_is_said(written, tmp_path: Path) -> None:
    paths, _, _ = written
    with pytest.raises(ConfigError, match=r"no format is known by the suffix of 'net.tflite'"):
        convert(paths["package"], tmp_path / "net.tflite")
    with pytest.raises(ConfigError, match="unknown format 'onxx'") as caught:
        convert(paths["package"], tmp_path / "net", to="onxx")
    assert "onnx" in caught.value.suggestions
    with pytest.raises(ConfigError, match="needs the network"):
        convert(paths["torch"], tmp_path / "net.onnx")
    with pytest.raises(CheckpointError, match="the weights do not fit"):
        convert(paths["torch"], tmp_path / "net.zip", model="cnn", options={"width": 8, "depth": 2, "num_classes": 3})
    (tmp_path / "notes.txt").write_text("weights, honestly")
    with pytest.raises(CheckpointError, match="cannot take weights from nothing that is known"):
        convert(tmp_path / "notes.txt", tmp_path / "net.pt")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="will not overwrite"):
        convert(paths["package"], tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "notes.txt"]


def test_a_program_that_differs_is_not_written(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _, _ = written
    load = torch.export.load

    class Wrong(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + 0.01

    class Program:
        def __init__(self, file) -> None:
            self.held = load(file)

        def module(self) -> nn.Module:
            return Wrong(self.held.module())

    monkeypatch.setattr(torch.export, "load", Program)
    with pytest.raises(ParityError, match="differs from the network by"):
        convert(paths["package"], tmp_path / "net.pt2")
    monkeypatch.setattr("safetensors.torch.load_file", lambda path: {})
    with pytest.raises(ParityError, match="does not hold what was read"):
        convert(paths["torch"], tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "model.bin", "a/b.safetensors", ".."])
def test_an_index_cannot_name_other_places(written, tmp_path: Path, file: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": file}}))
    with pytest.raises(RefusedError, match="names the file"):
        read_source(tmp_path)
