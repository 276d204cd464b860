"""``cv=``: folds as runs, pooled predictions, ensembles, nested choice, resuming; skorch in scikit-learn as judge."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import signal
from importlib import import_module

import numpy as np
import pytest
import yaml
from rich.console import Console
from sklearn import metrics as sk

from scirs_neural import compare, train
from scirs_neural.api import fit, load_run
from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import CheckpointError, ConfigError, DataError
from scirs_neural.data import create_data
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.runs.comparison import compare_runs
from scirs_neural.runs.cross_validation import cross_validate
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.report import write_report

MLP = ("model=mlp", "data=digits", "data.image_size=8", "model.hidden=[16]", "data.transforms=none")
SMALL = (*MLP, "logger=none", "trainer.max_epochs=2", "data.batch_size=128", "optimizer.lr=0.01")


def settings(runs, *overrides):
    return load_config(Request([*overrides, f"paths.runs={runs}"]), config_groups())


def crossed(runs, *overrides):
    return cross_validate(settings(runs, *overrides), Console(quiet=True))


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Two folds through the door, with a test split outside of them."""
    runs = tmp_path_factory.mktemp("runs")
    assert run_command(train.main, [*SMALL, "cv=2", f"paths.runs={runs}"]) == 0
    return runs / "digits-mlp-cv" / "1"


@pytest.mark.feature(90)
def test_every_sample_is_tested_once_by_a_net_that_had_not_seen_it(whole_run):
    whole = load_predictions(whole_run / "predictions" / "out_of_fold")
    outer = set(map(str, create_data("digits").dataset("test").ids))
    assert set(whole.ids) == {str(i) for i in range(1797)} - outer
    assert len(whole) == 1438
    parts = [load_predictions(whole_run / f"fold-{n}" / "predictions" / "test") for n in (1, 2)]
    assert [name for part in parts for name in part.ids] == list(whole.ids)
    for n in (1, 2):  # a fold is a run like any other, which says itself what it is a part of
        config = yaml.safe_load((whole_run / f"fold-{n}" / "config.yaml").read_text())
        assert config["data"]["folds"] == [{"index": n - 1, "of": 2, "repeat": 0}]
        assert config["cv"]["folds"] == 0
        assert (whole_run / f"fold-{n}" / "report.html").is_file()
        assert load_run(whole_run / f"fold-{n}").evaluate().metrics["accuracy"].value == pytest.approx(
            parts[n - 1].right.mean()
        )


def test_the_commands_of_its_report_and_of_its_folds_work(whole_run, tmp_path):
    copy = shutil.copytree(whole_run, tmp_path / "digits-mlp-cv" / "1")
    for folder, modules in (
        (copy, ["evaluate", "train", "train"]),
        (copy / "fold-1", ["evaluate", "predict", "train"]),
    ):
        write_report(folder)
        page = html.unescape((folder / "report.html").read_text())
        commands = re.findall(r"^python -m scirs_neural\.(\w+) (.+)$", page[page.index('id="next"') :], flags=re.M)
        other = {"compare": whole_run / folder.relative_to(copy)}
        assert [module for module, _ in commands] == [*modules, "compare"]
        for module, arguments in commands:
            words = [str(other[module]) if word.startswith("OTHER_RUN") else word for word in shlex.split(arguments)]
            words += ["--check"] if module == "train" else []
            assert run_command(import_module(f"scirs_neural.{module}").main, words) == 0, (module, words)


@pytest.mark.feature(90)
def test_the_summary_is_scikit_learns_figures_of_the_saved_predictions(whole_run):
    summary = json.loads((whole_run / "summary.json").read_text())
    parts = [load_predictions(whole_run / f"fold-{n}" / "predictions" / "test") for n in (1, 2)]
    for name, score in {
        "accuracy": lambda p: sk.accuracy_score(p.target, p.predicted),
        "f1": lambda p: sk.f1_score(p.target, p.predicted, average="macro"),
        "balanced_accuracy": lambda p: sk.balanced_accuracy_score(p.target, p.predicted),
    }.items():
        each = [score(part) for part in parts]
        found = summary["scores"][name]
        assert found["values"] == pytest.approx(each)
        assert (found["mean"], found["std"]) == (pytest.approx(np.mean(each)), pytest.approx(np.std(each, ddof=1)))
        assert found["low"] < found["mean"] < found["high"]
        assert [fold["test"][name] for fold in summary["folds"]] == pytest.approx(each)
    whole = load_predictions(whole_run / "predictions" / "out_of_fold")
    assert summary["out_of_fold"][0]["accuracy"]["value"] == sk.accuracy_score(whole.target, whole.predicted)


@pytest.mark.feature(90)
def test_the_folds_nets_together_answer_the_test_split(whole_run):
    together = load_predictions(whole_run / "predictions" / "test")
    data = create_data("digits", image_size=8)
    assert list(together.ids) == list(map(str, data.dataset("test").ids))
    answers = []
    for n in (1, 2):  # each net again, on inputs that are scaled as its own training samples say
        run = load_run(whole_run / f"fold-{n}")
        data.use_spec(run.task.spec)
        data.batch_size = len(data.dataset("test"))
        (batch,) = data.eval_dataloader("test")
        answers.append(run.model(batch["image"]).softmax(dim=1).detach().numpy())
    np.testing.assert_allclose(together.columns["probabilities"], np.mean(answers, axis=0), atol=1e-5)
    assert np.array_equal(together.target, batch["label"].numpy())
    summary = json.loads((whole_run / "summary.json").read_text())
    assert summary["ensemble"]["accuracy"]["value"] == together.right.mean()


def test_the_page_and_the_terminal_show_the_folds(whole_run, capsys, monkeypatch):
    page = (whole_run / "report.html").read_text()
    for text in ("fold-1", "fold-2", "mean ± std", "Nadeau", "out-of-fold accuracy"):
        assert text in page
    monkeypatch.setenv("COLUMNS", "100")
    config = whole_run / "config.yaml"
    assert run_command(train.main, ["--from", str(config), f"trainer.resume={whole_run}"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("finished before") == 2  # nothing is run again
    assert "epoch" not in shown.partition("finished before")[0]
    assert "over the folds" in shown


def test_compare_reads_cross_validations(whole_run, tmp_path, capsys):
    other = tmp_path / "digits-mlp-cv" / "2"
    shutil.copytree(whole_run, other)
    whole = load_predictions(other / "predictions" / "out_of_fold")
    flat = np.full_like(whole.columns["probabilities"], 0.1)
    blurred = type(whole)(whole.ids, {**whole.columns, "probabilities": flat}, whole.header)
    blurred.save(other / "predictions" / "out_of_fold")
    assert run_command(compare.main, [str(whole_run), str(other), "--split", "out_of_fold", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 1438
    assert found["pairs"][0]["verdict"].endswith("is better")
    assert run_command(compare.main, [str(whole_run), str(whole_run / "fold-1"), "--split", "out_of_fold"]) == 2
    assert "only a cross-validation has them" in capsys.readouterr().err


def test_without_a_common_test_split_compare_takes_the_folds(whole_run, tmp_path):
    copies = [tmp_path / str(n) for n in (1, 2)]
    for copy in copies:
        shutil.copytree(whole_run, copy)
        shutil.rmtree(copy / "predictions" / "test")
    assert compare_runs([str(copy) for copy in copies])["split"] == "out_of_fold"


def test_a_parent_is_no_run_to_load(whole_run):
    with pytest.raises(CheckpointError, match="no checkpoint") as caught:
        load_run(whole_run).task  # noqa: B018
    assert "fold-1" in caught.value.fix
    with pytest.raises(ConfigError, match=r"sn\.fit trains one run"):
        fit("mlp", "digits", overrides=["cv=3"])


BOMB = """
import os, signal
import lightning.pytorch as L

class Bomb(L.Callback):
    def on_train_epoch_start(self, trainer, module):
        if "fold-2" in str(trainer.default_root_dir) and trainer.current_epoch == 1 and os.environ.get("BOMB"):
            if os.environ["BOMB"] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise InterruptedError
"""
RUN = """
import sys
from rich.console import Console
from scirs_neural.config.compose import Request, load_config
from scirs_neural.runs.cross_validation import cross_validate
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.report import write_report

cross_validate(load_config(Request(sys.argv[1:]), config_groups()), Console(quiet=True))
"""


def go_on_and_compare(broken, whole_run, again):
    """Resume, and hold the end to that of the unbroken run, bit by bit."""
    assert (broken / "fold-1" / "summary.json").is_file()
    assert (broken / "fold-2" / "checkpoints" / "last.ckpt").is_file()
    assert not (broken / "fold-2" / "summary.json").exists()
    first = (broken / "fold-1" / "summary.json").stat().st_mtime_ns
    cross_validate(load_config(again, config_groups()), Console(quiet=True))
    assert (broken / "fold-1" / "summary.json").stat().st_mtime_ns == first  # what has ended is not run again
    for split in ("out_of_fold", "test"):
        resumed, unbroken = (load_predictions(run / "predictions" / f"{split}") for run in (broken, whole_run))
        assert resumed.ids == unbroken.ids
        assert np.array_equal(resumed.columns["probabilities"], unbroken.columns["probabilities"])


@pytest.mark.feature(90)
def test_a_broken_cross_validation_goes_on_where_it_was(whole_run, tmp_path, monkeypatch):
    (tmp_path / "bomb.py").write_text(BOMB)
    monkeypatch.setenv("BOMB", "raise")
    with pytest.raises(InterruptedError):
        crossed(tmp_path, *SMALL, "cv=2", f"callbacks=[{tmp_path / 'bomb.py'}:Bomb]")
    monkeypatch.delenv("BOMB")
    broken = tmp_path / "digits-mlp-cv" / "1"
    own = [f"{tmp_path / 'bomb.py'}:Bomb"]
    again = Request([f"trainer.resume={broken}"], config_file=broken / "config.yaml", allow=own)
    go_on_and_compare(broken, whole_run, again)


@pytest.mark.slow
@pytest.mark.feature(90)
def test_a_killed_cross_validation_goes_on_where_it_was(whole_run, tmp_path, python):
    (tmp_path / "bomb.py").write_text(BOMB)
    bomb = f"callbacks=[{tmp_path / 'bomb.py'}:Bomb]"
    ended = python("-c", RUN, *SMALL, "cv=2", bomb, f"paths.runs={tmp_path}", BOMB="kill")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = Request([*SMALL, "cv=2", bomb, f"paths.runs={tmp_path}", "trainer.resume=auto"])
    go_on_and_compare(tmp_path / "digits-mlp-cv" / "1", whole_run, again)


def test_a_resumed_cross_validation_must_be_the_same_one(whole_run):
    with pytest.raises(ConfigError, match=r"had other settings: optimizer\.lr") as caught:
        crossed(whole_run.parents[1], *SMALL, "cv=2", "optimizer.lr=0.02", f"trainer.resume={whole_run}")
    assert "--from" in caught.value.fix


@pytest.mark.slow
@pytest.mark.feature(90)
def test_nested_choice_sees_the_folds_own_training_samples_alone(tmp_path):
    grid = "cv.grid={optimizer.lr:[1e-6,0.02]}"
    found = crossed(tmp_path, *SMALL, "cv=2", "cv.inner=2", grid, "data.test_fraction=0.5", "trainer.max_epochs=1")
    for fold in found.summary["folds"]:
        assert fold["chosen"] == {"optimizer.lr": 0.02}
        folder = found.folder.path / fold["folder"]
        held = set(load_predictions(folder / "predictions" / "test").ids)
        inner = [load_predictions(folder / f"choice-1/inner-{n}/predictions/test").ids for n in (1, 2)]
        assert not held & {*inner[0], *inner[1]}
        assert not set(inner[0]) & set(inner[1])
        assert yaml.safe_load((folder / "config.yaml").read_text())["optimizer"]["lr"] == 0.02
        tried = json.loads((folder / "choice.json").read_text())["tried"]
        assert tried[0]["scores"]["accuracy"]["mean"] < tried[1]["scores"]["accuracy"]["mean"]


def test_repeats_test_every_sample_once_each(tmp_path):
    found = crossed(
        tmp_path, *SMALL, "cv=2", "cv.repeats=2", "data.test_fraction=0", "trainer.max_epochs=1", "data.batch_size=512"
    )
    first, second = (load_predictions(found.folder.predictions(f"out_of_fold{end}")) for end in ("", "-2"))
    assert sorted(first.ids) == sorted(second.ids) == sorted(map(str, range(1797)))
    assert first.ids != second.ids
    assert len(found.statistics["accuracy"].values) == 4
    assert found.together is None


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["cv=1"], "one part leaves none to learn from"),
        (["cv=-2"], r"cv.folds must be greater than or equal to 0"),
        (["cv=five"], "cv.folds must be a whole number"),
        (["cv.repeats=3"], "act with folds only"),
        (["cv=3", "cv.fold=2"], r"unknown setting 'cv\.fold'"),
        (["data.folds=[{index:5,of:5}]"], "part 5 of 5"),
    ],
)
def test_wrong_settings_are_named(tmp_path, overrides, text):
    with pytest.raises(ConfigError, match=text):
        settings(tmp_path, *overrides)


@pytest.mark.parametrize(
    ("overrides", "text", "kind"),
    [
        (["cv=3", "cv.grid={optimizer.lrr:[1]}"], r"unknown setting 'optimizer\.lrr'", ConfigError),
        (["cv=3", "cv.grid={optimizer.lr:[]}"], "no value for optimizer.lr", ConfigError),
        (["cv=3", "cv.grid={cv.folds:[2]}"], "cannot choose 'cv.folds'", ConfigError),
        (["cv=3", "trainer.devices=2"], "each run on one device", ConfigError),
        (["cv=400"], "cannot be divided into 400 parts", DataError),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_run(tmp_path, overrides, text, kind):
    with pytest.raises(kind, match=text):
        crossed(tmp_path, *SMALL, *overrides)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_check_looks_at_the_folds_too(tmp_path, capsys):
    assert run_command(train.main, ["--check", *SMALL, "cv=3", f"paths.runs={tmp_path}"]) == 0
    assert "test 480" in " ".join(capsys.readouterr().out.split())
    assert run_command(train.main, ["--check", *SMALL, "cv=3", "cv.grid={optimizer.lrr:[1]}"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.feature(90)
@pytest.mark.parametrize(
    ("network", "epochs"),
    [
        pytest.param({"model": "mlp", "model.hidden": [64]}, 4, id="mlp"),
        pytest.param({"model": "cnn", "model.width": 16, "model.depth": 2}, 10, id="cnn", marks=pytest.mark.slow),
    ],
)
def test_mean_and_deviation_are_those_of_skorch_and_cross_val_score(tmp_path, network, epochs):
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from skorch import NeuralNetClassifier

    from scirs_neural.models import create_model

    asked = [f"{key}={value}" for key, value in network.items()]
    found = crossed(
        tmp_path, *asked, "data=digits", "data.image_size=8", "data.transforms=none", "cv=5", "data.test_fraction=0",
        "data.val_fraction=0", "optimizer=adamw", "optimizer.lr=0.005", "optimizer.weight_decay=0",
        "scheduler=constant", f"trainer.max_epochs={epochs}", "logger=none",
    )  # fmt: skip
    scans = load_digits()
    x = ((scans.images / 16 - 0.305) / 0.376).astype(np.float32)[:, None]
    options = {key.partition(".")[2]: value for key, value in network.items() if "." in key}
    name = network["model"]
    sizes = {"num_classes": 10, "in_channels": 1, "input_size": 8}

    class Net(torch.nn.Sequential):
        def __init__(self) -> None:
            super().__init__(create_model(name, **sizes, **options))

    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Net, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, optimizer__weight_decay=0.0, lr=0.005,
        max_epochs=epochs, batch_size=64, train_split=None, iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip
    theirs = cross_val_score(net, x, scans.target, cv=StratifiedKFold(5, shuffle=True, random_state=0))
    ours = found.statistics["accuracy"]
    print(f"ours {ours.mean:.4f} ± {ours.std:.4f}, skorch {theirs.mean():.4f} ± {theirs.std(ddof=1):.4f}")
    assert abs(ours.mean - theirs.mean()) < 0.01
    assert abs(ours.std - theirs.std(ddof=1)) < 0.01
