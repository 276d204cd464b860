"""What users get wrong, at the doors: status 2, at most six lines, what and where and what to do."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scirs_neural import evaluate, predict, train
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import MAX_LINES
from tests.training.tiny import TINY


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call a door, expect its refusal, give what it said."""
    monkeypatch.chdir(tmp_path)

    def call(door: Any, *arguments: str) -> str:
        assert run_command(door.main, list(arguments)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert len(said.splitlines()) <= MAX_LINES
        assert "Traceback" not in said
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("summary.json"))
        return said

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of real photos: pieces of scikit-learn's two."""
    from sklearn.datasets import load_sample_images

    for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(8):
            Image.fromarray(image[40 * number : 40 * number + 64, :64]).save(folder / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["model=resnet51"], ["unknown model 'resnet51'", "command line, model=resnet51", "resnet50", "list models"]),
        (["data=digit"], ["unknown data 'digit'", "digits"]),
        (["trainer.max_epohcs=3"], ["unknown setting 'trainer.max_epohcs'", "trainer.max_epochs"]),
        (["+epoch=3"], ["unknown setting 'epoch'", "trainer.max_epochs"]),
        (["trainer.max_epochs=ten"], ["trainer.max_epochs must be a whole number, not 'ten'"]),
        (["data.batch_size=0"], ["data.batch_size", "greater than or equal to 1"]),
        (["trainer.precision=fp16"], ["trainer.precision cannot be 'fp16'"]),
        (["data=image_folder"], ["data.root"]),
        (["data=image_folder", "data.root=nowhere"], ["nowhere"]),
        (["model=alexnet", "model.stem=standard", "data.image_size=32"], ["alexnet needs inputs of at least 63x63 px"]),
        (["--from", "nowhere"], ["no configuration in 'nowhere'"]),
        (["--chek"], ["unrecognized arguments: --chek", "--check", "train --help"]),
        (["-m", "seed=0,x"], ["seed must be a whole number, not 'x'"]),
        (["data.num_workers=999"], ["would start 999 processes", "null chooses"]),
        (["hydra.run.dir=x"], ["'hydra.run.dir' is not obeyed", "paths.runs=FOLDER"]),
        (["trainer.profiler=fast"], ["trainer.profiler cannot be 'fast'", "simple, advanced, pytorch"]),
        (["trainer.fast_dev_run=maybe"], ["trainer.fast_dev_run must be true or false"]),
        (["trainer.fast_dev_run=0"], ["trainer.fast_dev_run"]),
        (["trainer.max_time=soon"], ["trainer.max_time"]),
        (["trainer.val_check_interval=1000"], ["trainer.val_check_interval=1000", "batches"]),
        (["logger=wandbb"], ["unknown logger 'wandbb'", "wandb"]),
        (["model=cnn", "logger=wandb"], ["needs the package 'wandb'", "pip install wandb"]),
        (["model=cnn", "logger=./nowhere.py:Mine"], ["no such file: ./nowhere.py", "logger.Mine.name"]),
        (["--config-name", "nowhere"], ["no config 'nowhere'", "--config-name"]),
        (["data.transforms=[light"], ["cannot read 'data.transforms=[light'", "quote the value"]),
    ],
)
@pytest.mark.feature(70)
def test_wrong_settings(refused: Any, arguments: list[str], expected: list[str]) -> None:
    said = refused(train, *arguments)
    assert [part for part in expected if part not in said] == []


NETWORK = """from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))

    def forward(self, x):
        return self.body(x)
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["model=./net.py:Nett"], ["'./net.py' has no 'Nett'", "from   model=./net.py:Nett", "maybe  Net"]),
        (["model=./nett.py:Net"], ["no such file: ./nett.py", "from   model=./nett.py:Net"]),
        (["model=./net.py:Net", "data.image_size=9"], ["image (1, 9, 9)", "layer body.1 (Linear)", "received (2, 81)"]),
        (["model=./net.yaml", "model.layers=3"], ["a network file has no option 'layers'", "from   model.layers"]),
        (["model=./bad.yaml"], ["blocks.0.conv: 'conv2d' expects in_channels=4", "./bad.yaml, layers[0].repeat[0]"]),
        (["model=cnn", "task.loss=[{name: crossentropy}]"], ["crossentropy", "from   task.loss[0]", "cross_entropy"]),
        (["model=cnn", "task.loss=./net.py:Tversky"], ["'./net.py' has no 'Tversky'", "from   task.loss"]),
    ],
)
def test_wrong_networks_and_losses_of_the_users(
    refused: Any, tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "net.yaml").write_text("layers: [flatten, {linear: num_classes}]\n")
    wrong = "{conv2d: {in_channels: 4, out_channels: 4, kernel_size: 3}, as: conv}"
    (tmp_path / "bad.yaml").write_text(f"layers: [{{repeat: {{times: 2, layers: [{wrong}]}}, as: blocks}}, flatten]\n")
    said = refused(train, "data=digits", *arguments)
    assert [part for part in expected if part not in said] == [], said


def test_empty_and_one_class_folders(refused: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(train, "data=image_folder", "data.root=empty")
    (tmp_path / "one" / "cats").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "one" / "cats" / "a.png")
    assert "one class" in refused(train, "data=image_folder", "data.root=one")


def test_truncated_jpeg_and_text_named_png(refused: Any, photos: Path) -> None:
    broken = photos / "china" / "3.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 3])
    smoke = (
        "model=cnn",
        "trainer=smoke",
        "data=image_folder",
        f"data.root={photos}",
        "data.image_size=16",
        "data.num_workers=0",
    )
    assert "3.jpg" in refused(train, *smoke, "trainer.limit_train_batches=null", "data.batch_size=4")
    broken.write_bytes(whole)
    (photos / "flower" / "note.png").write_text("this is no picture")
    assert "note.png" in refused(train, *smoke, "trainer.limit_train_batches=null", "data.batch_size=4")


def test_weights_of_another_shape(refused: Any, tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    said = refused(train, "model=resnet18", "model.weights=./other.pth")
    assert "do not fit" in said
    assert "missing" in said


class Payload:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {os.environ['CANARY']}",)


def test_pickle_with_code_is_refused_and_not_run(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", str(tmp_path / "canary"))
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Payload()))
    said = refused(train, "model=resnet18", "model.weights=./evil.pth")
    assert "refused" in said
    assert not (tmp_path / "canary").exists()


def test_run_folder_that_cannot_be_written(refused: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    said = refused(train, *TINY, "trainer=smoke", "paths.runs=taken")
    assert "could not make the run folder" in said


def test_published_weights_without_a_network(refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("SCIRS_OFFLINE", "1")
    said = refused(train, "model=mobilenet_v2", "model.weights=IMAGENET1K_V1")
    for part in ("mobilenet_v2-b0353104.pth", "14 MB", str(tmp_path), "model.weights="):
        assert part in said, said


def test_predict_and_evaluate_without_a_run(refused: Any, tmp_path: Path) -> None:
    assert "no run in 'nowhere'" in refused(predict, "nowhere", "x.png")
    assert "no run in 'nowhere'" in refused(evaluate, "nowhere")


def test_all_faults_come_in_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["model=resnet51", "trainer.max_epochs=ten", "+epoch=3", "optimizer.lr=-1"]) == 2
    assert capsys.readouterr().err.count("error: ") == 4


def test_ctrl_c_keeps_a_checkpoint_and_ends_with_130(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "scirs_neural.train", *TINY, f"paths.runs={tmp_path}", "trainer.max_epochs=500",
        "data.batch_size=16",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().strip().startswith("1/500"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    state = torch.load(checkpoint, weights_only=True)
    assert state["global_step"] > 0
    assert time.time() - checkpoint.stat().st_mtime < 120


def test_prediction_on_what_is_no_image(
    refused: Any, tmp_path: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    assert run_command(predict.main, [str(tiny_run), "note.png"]) == 1  # the others would have been answered
    assert "note.png" in "".join(capsys.readouterr())
    assert "no image there" in refused(predict, str(tiny_run), "none/*.png")
    np.save(tmp_path / "x.npy", np.zeros(3))
    assert run_command(predict.main, [str(tiny_run), "x.npy"]) == 1
    assert "x.npy" in "".join(capsys.readouterr())
