"""What a run leaves behind, held against scikit-learn, TensorBoard's own reader, and a fresh evaluation."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
import yaml
from PIL import Image
from rich.console import Console

from scirs_neural.api import Run
from scirs_neural.core.errors import CheckpointError, ConfigError
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.train import RunResult, train_run
from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.training.tiny import read_metrics, tiny_config


def test_everything_is_there(finished: RunResult) -> None:
    names = {str(p.relative_to(finished.folder.path)) for p in finished.folder.path.rglob("*") if p.is_file()}
    expected = {
        "config.yaml", "command.txt", "environment.json", "metrics.csv", "summary.json", "checkpoints/best.ckpt",
        "checkpoints/last.ckpt", "predictions/test/header.json", "predictions/val/header.json", "plots/input_batch.npz",
    }  # fmt: skip
    assert expected <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert (
        json.loads((finished.folder.path / "environment.json").read_text())["packages"]["torch"]
        == torch.__version__.partition("+")[0]
    )


def test_a_plain_run_warns_of_nothing(finished: RunResult) -> None:
    assert finished.summary["warnings"] == {}


def test_metrics_are_those_of_scikit_learn_on_the_saved_predictions(finished: RunResult) -> None:
    pred = load_predictions(finished.folder.predictions("test"))
    saved = pred.columns
    accuracy = sklearn.metrics.accuracy_score(saved["target"], saved["probabilities"].argmax(axis=1))
    assert finished.summary["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    shares = saved["probabilities"].astype(float)
    loss = sklearn.metrics.log_loss(saved["target"], shares / shares.sum(axis=1, keepdims=True), labels=list(range(10)))
    assert finished.summary["test"]["loss"] == pytest.approx(loss, abs=1e-4)
    assert len(pred) == len(set(pred.ids)) == finished.data.spec.sizes["test"]


@pytest.mark.feature(82)
def test_best_checkpoint_has_the_metric_that_it_was_kept_for(finished: RunResult) -> None:
    rows = read_metrics(finished.folder.metrics)
    best = max(row["val/accuracy"] for row in rows)
    assert finished.summary["best"]["value"] == best
    fresh = Run(RunFolder(finished.folder.path)).evaluate("val")
    assert fresh.metrics["accuracy"].value == pytest.approx(best, abs=1e-6)
    state = read_checkpoint(finished.folder.best)
    assert state["epoch"] == finished.summary["best"]["epoch"] - 1


@pytest.mark.feature(86)
def test_tensorboard_reads_back_the_numbers_of_metrics_csv(finished: RunResult) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.folder.path / "tensorboard"), size_guidance={"histograms": 0, "images": 0})
    events.Reload()
    rows = read_metrics(finished.folder.metrics)
    tags = {"train/loss": "train/loss_epoch", "val/loss": "val/loss", "val/accuracy": "val/accuracy", "lr": "lr"}
    for column, tag in tags.items():
        shown = [event.value for event in events.Scalars(tag)]
        assert shown == pytest.approx([row[column] for row in rows], rel=1e-6), column
    (shown_image,) = events.Images("inputs")
    assert shown_image.step == 0
    batch = torch.from_numpy(np.load(finished.folder.plots / "input_batch.npz")["images"])
    pixels = np.asarray(Image.open(io.BytesIO(shown_image.encoded_image_string)).convert("L"))
    one = torch.from_numpy(pixels[2:10, 2:10] / np.float32(255))  # a grid has two pixels around each image
    first = batch[0, 0]
    torch.testing.assert_close(
        (one - one.min()) / (one.max() - one.min()),
        (first - first.min()) / (first.max() - first.min()),
        rtol=0,
        atol=0.02,
    )
    names = {f"{kind}/{name}" for name, _ in finished.module.named_parameters() for kind in ("weights", "gradients")}
    assert set(events.Tags()["histograms"]) == names
    last = read_checkpoint(finished.folder.last)["state_dict"]
    for name, weight in finished.module.named_parameters():
        held = events.Histograms(f"weights/{name}")
        assert len(held) == len(rows)
        assert held[-1].histogram_value.num == weight.numel()
        assert held[-1].histogram_value.max <= last[name].max().item() + 0.05  # taken before the last step


@pytest.mark.feature(86)
def test_tensorboard_has_the_graph_if_it_is_asked_for(train: object) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "logger.tensorboard.graph=true")
    done: RunResult = train(*options)  # type: ignore[operator]
    events = EventAccumulator(str(done.folder.path / "tensorboard"))
    events.Reload()
    operations = [node.op for node in events.Graph().node]
    convolutions = [part for part in done.model.modules() if isinstance(part, torch.nn.Conv2d)]
    assert sum(op == "aten::_convolution" for op in operations) == len(convolutions)


@pytest.mark.feature(86)
def test_hyper_parameters_are_in_tensorboard(finished: RunResult) -> None:
    import tensorboard.plugins.hparams.plugin_data_pb2 as hparams
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.folder.path / "tensorboard"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    info = hparams.HParamsPluginData.FromString(content).session_start_info
    assert info.hparams["optimizer/lr"].number_value == pytest.approx(2e-3)
    assert info.hparams["model/name"].string_value == "cnn"


def test_saved_configuration_is_plain_and_whole(finished: RunResult) -> None:
    saved = yaml.safe_load(finished.folder.config.read_text())
    assert saved["model"]["name"] == "cnn"
    assert saved["trainer"]["max_epochs"] == 3
    assert "???" not in finished.folder.config.read_text()
    assert "_target_" not in finished.folder.config.read_text()


@pytest.mark.feature(71)
def test_a_rerun_from_the_saved_configuration_has_the_same_metrics_to_the_bit(
    finished: RunResult, train: object
) -> None:
    from scirs_neural.runs.groups import config_groups

    again = train_run(finished.folder.read_config(config_groups()), console=Console(quiet=True))
    assert again.folder.path != finished.folder.path
    assert again.folder.metrics.read_text() == finished.folder.metrics.read_text()
    assert again.summary["test"] == finished.summary["test"]


@pytest.mark.feature(83)
def test_early_stopping_stops_where_the_log_says(train: object) -> None:
    done: RunResult = train(  # type: ignore[operator]
        "trainer.max_epochs=8", "optimizer.lr=0.3", "callbacks=[early_stopping]", "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=0.05",
    )  # fmt: skip
    losses = [row["val/loss"] for row in read_metrics(done.folder.metrics)]
    best, waited, stop = math.inf, 0, len(losses)
    for number, loss in enumerate(losses, 1):
        best, waited = (loss, 0) if loss < best - 0.05 else (best, waited + 1)
        if waited == 1:
            stop = number
            break
    assert len(losses) == stop < 8
    assert done.summary["best"]["value"] == max(row["val/accuracy"] for row in read_metrics(done.folder.metrics))


@pytest.mark.feature(87)
def test_metric_of_the_user_is_logged_and_is_that_of_the_whole_set(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import sklearn.metrics\n\n"
        "def macro_recall(probabilities, targets):\n"
        "    return sklearn.metrics.recall_score(targets, probabilities.argmax(1), average='macro')\n"
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    console = Console(width=160, record=True, file=io.StringIO())
    config = tiny_config(
        tmp_path, "trainer.max_epochs=1", "data.batch_size=50", f"task.metrics=[{file}:macro_recall,f1]"
    )
    done = train_run(config, console=console)
    saved = load_predictions(done.folder.predictions("val")).columns
    predicted = saved["probabilities"].argmax(axis=1)
    row = read_metrics(done.folder.metrics)[-1]
    expected = sklearn.metrics.recall_score(saved["target"], predicted, average="macro", zero_division=0)
    assert row["val/macro_recall"] == pytest.approx(expected, abs=1e-6)
    assert row["val/f1"] == pytest.approx(
        sklearn.metrics.f1_score(saved["target"], predicted, average="macro"), abs=1e-6
    )
    events = EventAccumulator(str(done.folder.path / "tensorboard"))
    events.Reload()
    assert events.Scalars("val/macro_recall")[0].value == pytest.approx(expected, abs=1e-6)
    shown = console.export_text()
    assert "macro_recall" in shown
    assert f"{expected:.4f}" in shown


def test_find_takes_the_newest_run_of_a_kind(finished: RunResult) -> None:
    parent = finished.folder.path.parent
    newest = max(int(p.name) for p in parent.iterdir())
    assert RunFolder.find(parent).path.name == str(newest)
    assert RunFolder.find(finished.folder.best).path == finished.folder.path
    with pytest.raises(ConfigError, match="no run in"):
        RunFolder.find(parent.parent / "nothing")


def test_weights_only_file_is_no_training_state(finished: RunResult, train: object, tmp_path: object) -> None:
    file = tmp_path / "weights.pt"  # type: ignore[operator]
    torch.save(finished.model.state_dict(), file)
    with pytest.raises((CheckpointError, ConfigError)):
        train(f"trainer.resume={file}")  # type: ignore[operator]
