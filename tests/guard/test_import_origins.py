"""Nothing is imported because a file said so: every caller of an import, and run folders that try to get one."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import scirs_neural as sn
from scirs_neural import evaluate, package, predict, train, tune
from scirs_neural.config.compose import Request, load_config
from scirs_neural.config.imports import TRAINING_ONLY, imported_by
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import CheckpointError, ConfigError
from scirs_neural.runs import replay
from scirs_neural.runs.cross_validation import cross_validate, on_one_device
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.next_steps import next_steps

PACKAGE = Path(__file__).parents[2] / "scirs_neural"
IMPORTERS = {
    "scirs_neural.core.importing.resolve", "scirs_neural.core.importing.load_file", "importlib.import_module",
    "importlib.util.spec_from_file_location", "importlib.__import__", "__import__", "runpy.run_path",
    "runpy.run_module",
}  # fmt: skip
OWN = "a string of the package's own tables"
SETTING = "a setting: typed, or out of a saved file and then held to what was typed by config.imports"
ORIGINS = {  # module and function: where the string comes from
    "__main__.py:dispatch": "a command of the package's own list",
    "builder/layer_node.py:_target": "Python code, or a network file that the user named; packages may name no code",
    "config/validate.py:_load_plugin_modules": SETTING,
    "core/importing.py:_import": "called by resolve",
    "core/importing.py:load_file": "called by resolve and for plugins_modules",
    "core/registry.py:load": "an entry of the package's tables or of an installed package; of `typed`, a setting",
    "core/lazy.py:__getattr__": OWN,
    "metrics/named.py:_target": SETTING,
    "models/vision/build.py:build": "the catalogue, a part of the package",
    "models/vision/generate_catalog.py:_own_row": OWN,
    "plots/panel.py:sections_of": "an attribute of a class of predictions, which a folder names by a registered kind",
    "core/registries.py:registry": OWN,
    "training/loggers.py:check_loggers": SETTING,
    "training/loggers.py:create_loggers": SETTING,
}  # fmt: skip


def importers(source: str) -> set[str]:
    """The functions of a module that use something that imports by name, under whatever name they have it."""
    names, found = {"__import__": "__import__"}, set()

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name.partition(".")[0]: (alias.asname and alias.name) or
                          alias.name.partition(".")[0] for alias in node.names})  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        parts, held = [], node
        while isinstance(held, ast.Attribute):
            parts.insert(0, held.attr)
            held = held.value
        if isinstance(held, ast.Name) and ".".join([names.get(held.id, ""), *parts]) in IMPORTERS:
            found.add(function)
        function = node.name if isinstance(node, ast.FunctionDef) else function
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(ast.parse(source), "")
    return found


def test_every_caller_of_an_import_knows_where_its_string_comes_from() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{function}"
        for path in PACKAGE.rglob("*.py")
        for function in importers(path.read_text())
    }
    assert found == set(ORIGINS)


@pytest.mark.parametrize(
    "source",
    [
        "from scirs_neural.core.importing import resolve as r\ndef f():\n    r('x')",
        "import importlib as i\ndef f():\n    return i.import_module",
        "def f():\n    from scirs_neural.core import importing\n    importing.load_file('x')",
        "import importlib.util\ndef f():\n    importlib.util.spec_from_file_location('x')",
        "def f():\n    __import__('x')",
    ],
)
def test_the_list_of_callers_sees_them(source: str) -> None:
    assert importers(source) == {"f"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    runs = tmp_path_factory.mktemp("runs")
    quick = ["model=mlp", "trainer=smoke", "data.image_size=8", "logger=none", f"paths.runs={runs}"]
    assert run_command(train.main, quick) == 0
    return runs / "digits-mlp" / "1"


CALL = "subprocess:getoutput"
SPOILT: dict[str, dict[str, Any]] = {  # what is changed in config.yaml
    "model": {"model": {"name": CALL, "cmd": "touch CANARY"}},
    "model in a file": {"model": {"name": "./evil.py:Net"}},
    "network file": {"model": {"name": "./evil.yaml"}},
    "plugin file": {"plugins_modules": ["./evil.py"]},
    "plugin module": {"plugins_modules": ["evil"]},
    "loss": {"task": {"loss": "./evil.py:Net"}},
    "loss with options": {"task": {"loss": {"name": CALL, "cmd": "touch CANARY"}}},
    "loss in a sum": {"task": {"loss": ["cross_entropy", {"name": "./evil.py:Net", "options": {}}]}},
    "loss in a loss": {"task": {"loss": {"name": "weighted", "loss": {"name": "evil:Net"}}}},
    "metric": {"task": {"metrics": ["./evil.py:Net"]}},
    "optimizer": {"optimizer": {"name": "./evil.py:Net"}},
    "callback": {"callbacks": {"early_stopping": {"name": "evil:Net"}}},
    "callback by its key": {"callbacks": {"evil:Net": {}}},
    "logger": {"logger": {"csv": {"name": "evil:Net"}}},
    "logger by its key": {"logger": {"evil:Net": {}}},
    "plugin by its key": {"plugins": {"./evil.py:Net": {}}},
    "data": {"data": {"name": "./evil.py:Net"}},
    "module with odd letters": {"callbacks": {"x": {"name": "evil :Net"}}},
    "grid": {"cv": {"folds": 3, "grid": {"model": ["mlp", "./evil.py:Net"]}}},
    "grid of plugins": {"cv": {"folds": 3, "grid": {"+plugins_modules": [["evil"]]}}},
    "grid of several keys": {"cv": {"folds": 3, "grid": {"plugins_modules=[evil]#": [1]}}},
}


@pytest.fixture
def stranger(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Copy the run with some settings changed, into a folder with code that leaves a trace when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("evil.py", "evil .py"):
        Path(name).write_text("open('CANARY', 'w')\nfrom torch import nn\nNet = nn.Linear\n")
    Path("evil.yaml").write_text("layers: [flatten, {'./evil.py:Net': [64, 10]}]\n")

    def make(changes: dict[str, Any]) -> Path:
        shutil.copytree(run, "run")
        config = yaml.safe_load(Path("run/config.yaml").read_text())
        for section, held in changes.items():
            config[section] = {**config[section], **held} if isinstance(held, dict) else held
        Path("run/config.yaml").write_text(yaml.safe_dump(config))
        return Path("run")

    return make


@pytest.mark.parametrize("changes", SPOILT.values(), ids=SPOILT)
def test_code_that_a_run_folder_names_is_not_imported(
    changes: dict[str, Any], stranger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger(changes)
    is_passed_over = set(changes) <= set(TRAINING_ONLY)  # by what uses a run: only training imports these
    for command, *argv in (
        (predict.main, "run", "run/samples"),
        (evaluate.main, "run"),
        (package.main, "run"),
        (train.main, "--check", "--from", "run"),
        (train.main, "--from", "run", "seed=1"),
    ):
        if is_passed_over and command is not train.main:
            assert run_command(command, argv) == 0
            continue
        assert run_command(command, argv) == 2
        said = capsys.readouterr().err
        assert "a saved file names code" in said
        assert "--allow " in said
    if is_passed_over:
        assert sn.load_run("run").task.name == "classification"
    else:
        with pytest.raises(ConfigError, match="a saved file names code"):
            _ = sn.load_run("run").task
    assert not Path("CANARY").exists()


def test_a_kept_step_imports_nothing_either(stranger: Any) -> None:
    place = stranger(SPOILT["plugin file"]) / "nonfinite" / "step-1"
    place.mkdir(parents=True)
    (place / "step.json").write_text("{}")
    assert run_command(replay.main, [str(place)]) == 2
    assert not Path("CANARY").exists()


NET = """from torch import nn

def Net(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, num_classes))
"""
QUICK = ("trainer=smoke", "data.image_size=8", "logger=none")


def test_what_is_typed_again_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    assert run_command(train.main, ["model=./net.py:Net", *QUICK]) == 0
    assert "python -m scirs_neural.evaluate runs/digits-net/1 --allow ./net.py:Net" in capsys.readouterr().out
    run, typed = "runs/digits-net/1", ["--allow", "./net.py:Net"]
    assert run_command(evaluate.main, [run]) == 2
    assert "  fix    if you trust it, type it again: --allow ./net.py:Net" in capsys.readouterr().err
    assert run_command(evaluate.main, [run, *typed]) == 0
    assert run_command(predict.main, [run, f"{run}/samples", *typed]) == 0
    assert run_command(package.main, [run, *typed]) == 0
    assert run_command(train.main, ["--check", "--from", run, *typed]) == 0
    assert run_command(train.main, ["--check", "--from", run, "model=./net.py:Net"]) == 0
    assert run_command(evaluate.main, [run, "--allow", "./other.py:Net"]) == 2
    own = sn.load_run(run, allow=["./net.py:Net"]).model
    assert sn.load_run(run, model=own).model is own  # the name is not looked up
    fitted = sn.fit("mlp", "digits", overrides=["plugins_modules=[./net.py]", *QUICK], console=Console(quiet=True))
    assert fitted.package().is_file()  # typed in this very program


def test_a_cross_validation_reads_the_code_again_that_its_command_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("evil.py").write_text("open('CANARY', 'w')\n")
    typed = ["model=./net.py:Net", *QUICK, "cv=2"]
    done = cross_validate(load_config(Request(typed), config_groups()), Console(quiet=True))
    parent = done.folder.path
    assert all(" --allow ./net.py:Net" in step for step in next_steps(parent, done.summary).values())
    (parent / "summary.json").unlink()
    shutil.rmtree(parent / "fold-1" / "predictions" / "outer_test")  # so that the fold's network is needed again
    fold = parent / "fold-1" / "config.yaml"
    fold.write_text(fold.read_text().replace("plugins_modules: []", "plugins_modules: [./evil.py]"))
    again = load_config(Request([*typed, f"trainer.resume={parent}"]), config_groups())
    with pytest.raises(ConfigError, match="a saved file names code"):
        cross_validate(again, Console(quiet=True))
    assert not Path("CANARY").exists()


def test_a_choice_within_a_fold_is_one_of_the_grid(tmp_path: Path) -> None:
    typed = ["model=mlp", *QUICK, "cv=2", "cv.inner=2", "cv.grid={model.hidden:[[4],[8]]}"]
    parent = RunFolder(tmp_path / "parent")
    (parent.path / "fold-1").mkdir(parents=True)
    config = load_config(Request([*typed, f"trainer.resume={parent.path}"]), config_groups())
    parent.begin(on_one_device(config))
    chosen = {"plugins_modules": [str(tmp_path / "evil.py")]}
    (parent.path / "fold-1" / "choice.json").write_text(json.dumps({"chosen": chosen}))
    with pytest.raises(CheckpointError, match="the choice is none of cv"):
        cross_validate(config, Console(quiet=True))


def study(folder: Path, *fixed: str, **changes: Any) -> None:
    plain = {
        "fixed": ["model=mlp", "data=digits", "data.image_size=8", *fixed],
        "space": [{"key": "optimizer.lr", "text": "", "choices": ["0.1", "0.01"]}],
        "objectives": [{"name": "val/accuracy", "mode": "max"}], "settings": {}, "config_dir": None, "command": "",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "study.json").write_text(json.dumps({**plain, **changes}))


@pytest.mark.parametrize(
    ("fixed", "changes"),
    [
        (["model=./evil.py:Net"], {}),
        (["model.name='evil:Net'"], {}),
        (["model={name:'evil:Net'}"], {}),
        (["plugins_modules=[evil]"], {}),
        (["++plugins_modules=[evil]"], {}),
        (["task.loss=[{name:./evil.py:Net}]"], {}),
        (["callbacks=[./evil.py:Net]"], {}),
        (["+callbacks.x.name=evil:Net"], {}),
        (["+x=evil", "plugins_modules=['${x}']"], {}),
        (["hydra.searchpath=[pkg://evil]"], {}),
        ([], {"space": [{"key": "model", "text": "", "choices": ["./evil.py:Net"]}]}),
        ([], {"space": [{"key": "model.name=evil:Net#", "text": "", "choices": [], "low": 0.0, "high": 1.0}]}),
        ([], {"config_dir": "theirs"}),
    ],
)
def test_code_that_a_study_names_is_not_imported(
    fixed: list[str], changes: dict[str, Any], stranger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study(Path("study"), *fixed, **changes)
    Path("theirs").mkdir()
    Path("theirs/evil.yaml").write_text("# @package _global_\nplugins_modules: [evil]\n")
    for argv in (["--resume", "study"], ["--resume", "study", "--worker", "0"]):
        assert run_command(tune.main, argv) == 2
        assert "a saved file names code" in capsys.readouterr().err
    assert not Path("CANARY").exists()


def test_ranges_and_plain_overrides_of_a_study_name_no_code() -> None:
    plain = ["data.root=C:/x", "~plugins.ema", "cv=5", "plugins=[ema]", "trainer.max_time=00:01"]
    assert imported_by(plain) == []
