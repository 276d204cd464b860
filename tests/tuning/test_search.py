"""Studies: trials as runs, pruning, objectives, resuming after a kill, several processes."""

from __future__ import annotations

import csv
import json
import shlex
import signal
import sqlite3

import pytest
import yaml
from rich.console import Console

from scirs_neural import train, tune
from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.schema import TuneConfig
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError
from scirs_neural.runs.groups import config_groups
from scirs_neural.tuning import Search
from scirs_neural.tuning.outcome import conclude
from scirs_neural.tuning.storage import Plan, Study
from scirs_neural.tuning.trial import run_trial

TINY = (
    "model=mlp", "data=digits", "data.image_size=8", "data.transforms=none", "model.hidden=[8]",
    "logger=none", "trainer.max_epochs=1", "trainer.limit_train_batches=4", "data.batch_size=128",
)  # fmt: skip
LR = "optimizer.lr=1e-4..1e-1:log"


def search(runs, *overrides, **settings):
    texts = [*TINY, *overrides, f"paths.runs={runs}"]
    return Search.begin(texts, TuneConfig(**settings), Console(quiet=True))


def finished(runs, *overrides, **settings):
    study = search(runs, *overrides, **settings).run()
    return study, conclude(study)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Five trials through the door."""
    runs = tmp_path_factory.mktemp("runs")
    asked = [*TINY, LR, "model.dropout=0..0.5", f"paths.runs={runs}", "tune.trials=4", "tune.startup=3"]
    assert run_command(tune.main, asked) == 0
    return runs / "digits-mlp-tune" / "1"


def test_every_trial_is_a_run_folder_with_its_settings(study):
    summary = json.loads((study / "summary.json").read_text())
    assert len(summary["trials"]) == 4
    for row in summary["trials"]:
        config = yaml.safe_load((study / row["folder"] / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == float(row["settings"]["optimizer.lr"])
        assert config["model"]["dropout"] == float(row["settings"]["model.dropout"])
        ended = json.loads((study / row["folder"] / "summary.json").read_text())
        assert row["values"] == {"val/accuracy": ended["val"]["accuracy"]}
        assert ended["test"] == {}  # a search that looks at the test set has none left
        assert not (study / row["folder"] / "predictions" / "test").exists()
    best = max(summary["trials"], key=lambda row: row["values"]["val/accuracy"])
    assert summary["best"][0]["values"] == best["values"]
    assert sum(summary["importance"]["val/accuracy"].values()) == pytest.approx(1)
    with open(study / "trials.csv", newline="") as file:
        assert [row["val/accuracy"] for row in csv.DictReader(file)] == [
            str(row["values"]["val/accuracy"]) for row in summary["trials"]
        ]


def test_the_command_that_is_printed_trains_with_the_best_settings(study):
    summary = json.loads((study / "summary.json").read_text())
    words = shlex.split(summary["next"])
    assert words[:3] == ["python", "-m", "scirs_neural.train"]
    config = load_config(Request(words[3:]), config_groups()).model_dump(mode="json")
    best = yaml.safe_load((study / summary["best"][0]["folder"] / "config.yaml").read_text())
    assert config == best
    assert run_command(train.main, ["--check", *words[3:]]) == 0


def test_a_study_is_searched_on(study, capsys, tmp_path):
    import shutil

    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    assert run_command(tune.main, ["--resume", str(copy), "tune.trials=5"]) == 0
    shown = capsys.readouterr().out
    assert "trial-4     5/5" in shown
    assert "trial-3 " not in shown.partition("the best")[0]
    best = json.loads((copy / "summary.json").read_text())["best"][0]
    assert f"best    {best['folder']}: val/accuracy" in shown
    assert best["folder"] == f"trial-{best['number']}"
    assert "trial 5" not in shown
    assert len(json.loads((copy / "summary.json").read_text())["trials"]) == 5
    assert run_command(tune.main, ["--resume", str(copy), "tune.sampler=random"]) == 2
    assert "tune.sampler is part of the study" in capsys.readouterr().err
    assert run_command(tune.main, ["--resume", str(copy), "seed=1"]) == 2
    assert "a study keeps its settings" in capsys.readouterr().err
    assert run_command(tune.main, ["--resume", str(tmp_path)]) == 2
    assert "no study in" in capsys.readouterr().err


RUN = """
import sys
from pathlib import Path
from rich.console import Console
from scirs_neural.config.schema import TuneConfig
from scirs_neural.tuning import Search

Search.begin(sys.argv[1:], TuneConfig(trials=6, startup=2), Console(quiet=True)).run()
"""
BOMB = """
import os, signal
import lightning.pytorch as L

class Bomb(L.Callback):
    def on_train_epoch_start(self, trainer, module):
        if os.environ.get("BOMB") and "trial-3" in str(trainer.default_root_dir) and trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_study_resumes_with_no_trial_lost(tmp_path, python):
    (tmp_path / "bomb.py").write_text(BOMB)
    asked = [*TINY, "trainer.max_epochs=2", LR, "model.dropout=0..0.5", f"callbacks=[{tmp_path / 'bomb.py'}:Bomb]"]
    ended = python("-c", RUN, *asked, f"paths.runs={tmp_path / 'killed'}", BOMB="1")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    folder = tmp_path / "killed" / "digits-mlp-tune" / "1"
    with sqlite3.connect(folder / "study.db") as base:
        states = [state for (state,) in base.execute("SELECT state FROM trials ORDER BY number")]
    base.close()
    assert states[-1] == "RUNNING"
    assert len(states) == 4
    assert (folder / "trial-3" / "checkpoints" / "last.ckpt").is_file()
    before = {n: (folder / f"trial-{n}" / "metrics.csv").stat().st_mtime_ns for n in range(3)}
    resumed = Search.resume(folder, {}, Console(quiet=True), allow=[f"{tmp_path / 'bomb.py'}:Bomb"]).run()
    assert before == {n: (folder / f"trial-{n}" / "metrics.csv").stat().st_mtime_ns for n in range(3)}
    whole, _ = finished(
        tmp_path / "whole", *asked[len(TINY) :], trials=6, startup=2
    )  # what the unbroken study does, trial by trial
    assert [(t.number, t.state, t.values, t.params, t.intermediate_values) for t in resumed.trials()] == [
        (t.number, t.state, t.values, t.params, t.intermediate_values) for t in whole.trials()
    ]


def test_bad_trials_are_stopped_early(tmp_path):
    study, summary = finished(
        tmp_path, "optimizer.lr=0.05,0.02,1e-7", "trainer.max_epochs=3", startup=2,
        sampler="grid", warmup_epochs=1,
    )  # fmt: skip
    assert summary["states"]["pruned"] >= 1
    rows = {row["settings"]["optimizer.lr"]: row for row in summary["trials"]}
    assert rows["1e-07"]["state"] == "pruned"
    epochs = {t.number: len(t.intermediate_values) for t in study.trials()}
    last = study.trials()[-1]
    assert epochs[last.number] == 2  # one that is left to every run, and the one that it was judged by
    ended = study.run_folder(last.number).read_summary()
    assert ended["epochs"] == 2  # stopped as by early stopping: a whole run, only shorter
    assert max(epochs.values()) == 3


def test_several_objectives_have_a_front(tmp_path):
    study, summary = finished(
        tmp_path, "model.hidden=[2],[64]", sampler="grid", objectives=["val/accuracy", "num_params"]
    )
    assert summary["objectives"] == {"val/accuracy": "max", "num_params": "min"}
    rows = [row["values"] for row in summary["trials"]]
    assert [row["num_params"] for row in rows] == [64 * 2 + 2 + 2 * 10 + 10, 64 * 64 + 64 + 64 * 10 + 10]
    assert len(summary["best"]) == 2  # the small one, and the accurate one
    assert set(summary["importance"]) == {"val/accuracy", "num_params"}
    assert len(study.trials("COMPLETE")) == 2


def test_the_objective_also_chooses_the_best_epoch(tmp_path):
    found = search(tmp_path, LR, objectives=["val/loss"])
    assert found.plan.fixed[-2:] == ["trainer.checkpoint.monitor=val/loss", "trainer.checkpoint.mode=min"]


def test_a_setting_that_breaks_training_does_not_end_the_search(tmp_path):
    _, summary = finished(tmp_path, "optimizer=sgd", "optimizer.lr=0.1,1e30", "scheduler=constant", sampler="grid")
    good, bad = summary["trials"]
    assert (good["state"], bad["state"]) == ("complete", "pruned")
    assert "loss became" in bad["error"]


def test_a_trial_that_was_broken_off_is_run_under_its_own_number(tmp_path):
    found = search(tmp_path / "broken", LR, trials=2, startup=1)
    study = Study(found.folder, found.plan)
    work_until(study, 1)
    trial, settings = study.ask(worker=0)  # and then nothing: its process is gone
    assert (trial.number, study.trials()[1].state.name) == (1, "RUNNING")
    resumed = Search.resume(found.folder, {}, Console(quiet=True)).run()
    whole = search(tmp_path / "whole", LR, trials=2, startup=1).run()
    assert [(t.number, t.state, t.values, t.params) for t in resumed.trials()] == [
        (t.number, t.state, t.values, t.params) for t in whole.trials()
    ]
    assert settings["optimizer.lr"] == repr(resumed.trials()[1].params["optimizer.lr"])


def work_until(study, number):
    """Run the first trials of a study."""
    for _ in range(number):
        trial, settings = study.ask(worker=0)
        values, state = run_trial(study, trial, settings)
        study.tell(trial, values, state)


@pytest.mark.slow
def test_workers_share_a_study_and_run_each_trial_once(tmp_path, capfd):
    found = search(tmp_path, LR, trials=4, workers=2, sampler="random")
    study = found.run()
    assert "Fatal" not in capfd.readouterr().err
    assert [trial.state.name for trial in study.trials()] == ["COMPLETE"] * 4
    assert [trial.number for trial in study.trials()] == [0, 1, 2, 3]
    assert all(study.run_folder(n).summary.is_file() for n in range(4))
    assert {trial.user_attrs["worker"] for trial in study.trials()} == {0, 1}


def test_a_trial_that_takes_its_process_with_it_fails_at_last(tmp_path):
    plan = search(tmp_path, LR, trials=2).plan
    study = Study(tmp_path, plan)
    for _ in range(3):
        trial, settings = study.ask(worker=1)
        assert (trial.number, list(settings)) == (0, ["optimizer.lr"])
        assert study.requeue(worker=0, count=True) == []  # another's
        assert study.requeue(worker=1, count=True) == [0]
    assert study.ask(worker=1)[0].number == 1
    assert [trial.state.name for trial in study.trials()] == ["FAIL", "RUNNING"]
    assert study.ask(worker=1) is None


def test_one_process_at_a_time_leads_a_study(tmp_path):
    from filelock import FileLock

    found = search(tmp_path, LR, trials=1)
    with FileLock(found.folder / "study.lock"), pytest.raises(ConfigError, match="another process works on the study"):
        found.run()


def test_what_is_kept_is_what_was_planned(tmp_path):
    found = search(tmp_path, LR, "model.hidden=[4],[8]", trials=3, sampler="random", objectives=["val/loss", "macs"])
    assert Plan.read(found.folder) == found.plan


@pytest.mark.parametrize(
    ("overrides", "settings", "text"),
    [
        (["optimizer.lrr=1..2"], {}, r"unknown setting 'optimizer\.lrr'"),
        ([LR, "cv=3"], {}, "it takes no cv"),
        ([LR, "trainer.devices=2"], {}, "on one device"),
        ([LR, "trainer.resume=x"], {}, "tune --resume"),
        ([LR, "data.val_fraction=0"], {}, "chooses by validation samples"),
        ([LR], {"sampler": "grid"}, "a grid needs every value"),
        ([LR], {"objectives": ["val/acc"]}, "unknown objective 'val/acc'"),
        ([LR], {"objectives": ["val/loss", "macs"], "pruner": "median"}, "needs one objective"),
        ([], {}, "nothing to search"),
    ],
)
def test_what_is_wrong_is_said_before_any_trial(tmp_path, overrides, settings, text):
    with pytest.raises(ConfigError, match=text):
        search(tmp_path, *overrides, **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("tune.trails=3", "maybe  tune.trials"),
        ("tune.trials=many", "tune.trials must be a whole number"),
        ("tune.sampler=tree", "choose one of tpe, random, grid"),
        ("tune.trials=1,2", "has several values"),
    ],
)
def test_settings_of_the_search_are_checked(word, text, capsys):
    assert run_command(tune.main, [LR, word]) == 2
    assert text in capsys.readouterr().err


def test_help_shows_the_settings_and_the_syntax(capsys):
    with pytest.raises(SystemExit):
        tune.main(["--help"])
    shown = capsys.readouterr().out
    for text in ("low..high:log", "tune.trials", "tune.pruner", "--resume"):
        assert text in shown
