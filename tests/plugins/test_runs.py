"""Toy plugins alone and together: trained, resumed to the bit, evaluated, packaged, loaded in a fresh process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from rich.console import Console

import scirs_neural as sn
from scirs_neural.core.errors import CheckpointError, ConfigError, NoRankedEpochError, ParityError
from scirs_neural.plugins.build import create_plugins
from scirs_neural.runs.check import check_run
from scirs_neural.runs.train import RunResult, train_run
from scirs_neural.serialization.checkpoint import read_checkpoint
from tests.plugins import toys
from tests.plugins.toys import Copies
from tests.training.recipes import RECIPES, digits
from tests.training.tiny import tiny_config

QUIET = Console(quiet=True)
SETS = {
    "ema": {"ema": {"decay": 0.8}},
    "swa": {"swa": {"start": 1}},
    "drop": {"toy_drop": {}},
    "lora": {"toy_lora": {}},
    "quant": {"toy_quant": {}},
    "all": {"ema": {"decay": 0.8}, "toy_quant": {}, "toy_lora": {}, "toy_drop": {}},
}
EVERY = pytest.mark.parametrize("name", SETS)


def fit(folder: Path, plugins: dict[str, Any], resume: Path | None = None, copies: Any = None, **options: Any) -> Any:
    data = digits(RECIPES["gpt"], 0)
    torch.manual_seed(1 if resume is None else 2)  # of a resumed run nothing may depend on how it starts
    task = sn.create_task(data.spec)
    network = sn.create_model("cnn", width=8, depth=2, **task.model_arguments())
    optimizer = options.pop("optimizer", {"name": "adamw", "lr": 3e-3})
    module = sn.Module(task, network, optimizer=optimizer, plugins=create_plugins(plugins))
    callbacks = [Copies(folder, copies)] if copies else []
    settings = {"max_epochs": 3, "log_every_n_steps": 2, "checkpoint": {"every_n_steps": 2}, **options}
    trainer = sn.Trainer(folder=folder, seed=1, console=QUIET, callbacks=callbacks, **settings)
    rows = trainer.fit(module, data, resume=resume)
    return module, trainer, rows


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    if isinstance(one, dict):
        assert list(one) == list(other), where
        return [found for key in one for found in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple):
        assert len(one) == len(other), where
        return [
            found
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for found in differences(a, b, f"{where}/{i}")
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [where]


PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "plugins", "training_weights", "epoch_state")


@EVERY
def test_a_run_resumes_to_the_same_bits_before_and_after_the_network_changes(tmp_path: Path, name: str) -> None:
    places = {"before": (1, 0), "within": (1, 4), "after": (2, 3)}
    fit(tmp_path / "whole", SETS[name], copies=places)
    whole = read_checkpoint(tmp_path / "whole/checkpoints/last.ckpt")
    records = {held["name"]: held["record"] for held in whole["plugins"]}
    assert len(records.get("toy_drop", {"channels": [0] * 5})["channels"]) == 5
    for place in places:
        fit(tmp_path / place, SETS[name], resume=tmp_path / f"whole/{place}.ckpt")
        again = read_checkpoint(tmp_path / place / "checkpoints/last.ckpt")
        for part in PARTS:
            assert (part in whole) == (part in again)
            assert differences(whole.get(part, {}), again.get(part, {}), part) == [], place


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """One run of each set."""
    made = {}
    for name, plugins in SETS.items():
        options = [f"plugins.{key}.{option}={value}" for key, held in plugins.items() for option, value in held.items()]
        config = tiny_config(
            tmp_path_factory.mktemp(name), "trainer.max_epochs=2", f"plugins=[{','.join(plugins)}]",
            "optimizer.lr=0.01", "trainer.limit_train_batches=8", *options,
        )  # fmt: skip
        made[name] = train_run(config, console=QUIET)
    return made


FRESH = """
import json, sys
import scirs_neural as sn
from tests.plugins import toys
from tests.plugins.toys import Copies
from scirs_neural.evaluation.registry import load_predictions
run, package, digits = sys.argv[1], sys.argv[2], sn.create_data("digits", image_size=8, batch_size=64)
loaded = sn.load_run(run)
score = loaded.evaluate("test").metrics["accuracy"].value
samples = [digits.dataset("test").samples.raw(i)["image"] for i in range(12)]
ours = [p.answer["top"] for p in loaded.predict(samples)]
theirs = [p.answer["top"] for p in sn.load_predictor(package).predict(samples)]
print(json.dumps([score, ours, theirs]))
"""


@EVERY
def test_a_fresh_process_gives_the_same_answers_from_the_run_and_from_its_package(
    runs: dict[str, RunResult], name: str, python: Any
) -> None:
    done = runs[name]
    package = sn.load_run(done.folder.path).package()
    ended = python("-c", FRESH, str(done.folder.path), str(package), cwd=Path(__file__).parents[2])
    assert ended.returncode == 0, ended.stderr[-2000:]
    score, ours, theirs = json.loads(ended.stdout.splitlines()[-1])
    assert score == pytest.approx(done.summary["test"]["accuracy"])
    assert ours == theirs
    raw = [done.data.dataset("test").samples.raw(i)["image"] for i in range(12)]
    here = [p.answer["top"] for p in sn.Run(done.folder).predict(raw)]
    for a, b in zip(here, ours, strict=True):
        assert [row[0] for row in a] == [row[0] for row in b]
        assert np.allclose([row[1] for row in a], [row[1] for row in b], atol=1e-6)


def test_what_plugins_put_on_is_off_in_the_end(runs: dict[str, RunResult]) -> None:
    model: Any = runs["all"].model
    assert type(model.head) is torch.nn.Linear
    assert not torch.nn.utils.parametrize.is_parametrized(model.head)
    assert model.stage1[3].out_channels == 5
    quantized = runs["quant"].model.head.weight.detach()
    steps = quantized / (quantized.abs().max() / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)  # 8 bits, on the grid
    assert {p.name for p in (runs["all"].folder.path / "checkpoints").iterdir()} == {
        "best.ckpt",
        "final.ckpt",
        "last.ckpt",
    }
    assert not runs["ema"].folder.final.exists()


def test_plugins_are_prepared_by_stage_and_finalized_in_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def noting(kind: type, what: str) -> None:
        real = getattr(kind, what)
        monkeypatch.setattr(kind, what, lambda *args: called.append(f"{kind.__name__} {what}") or real(*args))

    for kind in (toys.LoRA, toys.Quant):
        noting(kind, "prepare")
        noting(kind, "finalize")
    data = digits(RECIPES["gpt"], 0)
    task = sn.create_task(data.spec)
    from scirs_neural.plugins import finalize_all, prepare_all

    plugins = create_plugins({"toy_quant": {}, "toy_lora": {}})
    model = prepare_all(plugins, sn.create_model("cnn", width=8, depth=2, **task.model_arguments()), task, {})
    finalize_all(plugins, model, task, lambda: data.eval_dataloader("train"))
    assert called == ["LoRA prepare", "Quant prepare", "Quant finalize", "LoRA finalize"]


def test_a_wrong_order_changes_the_answers_and_is_refused_by_name_and_column() -> None:
    data = digits(RECIPES["gpt"], 0)
    task = sn.create_task(data.spec)
    from scirs_neural.plugins import finalize_all, prepare_all

    plugins = create_plugins({"toy_lora_too_late": {}, "toy_quant": {}})
    assert [plugin.name for plugin in plugins] == ["toy_quant", "toy_lora_too_late"]
    model: Any = prepare_all(plugins, sn.create_model("cnn", width=8, depth=2, **task.model_arguments()), task, {})
    torch.nn.init.normal_(model.head.b)
    with pytest.raises(ParityError, match=r"finalizing the plugin 'toy_lora_too_late' changed .* 'probabilities'"):
        finalize_all(plugins, model, task, lambda: data.eval_dataloader("train"))


def test_the_optimizer_keeps_what_fits_and_maps_what_has_another_shape(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    class Look(L.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            if (trainer.current_epoch, batch_idx) == (1, 0):
                (optimizer,) = trainer.optimizers
                seen["after"] = {
                    n: {k: v.clone() for k, v in optimizer.state[p].items()}
                    for n, p in module.named_parameters()
                    if p in optimizer.state
                }
                seen["lr"] = [group["lr"] for group in optimizer.param_groups]
                saved = read_checkpoint(tmp_path / "checkpoints/last.ckpt")
                seen["before"] = saved["optimizer_states"][0]
                seen["names"] = [n for n, _ in module.named_parameters()]

    data = digits(RECIPES["gpt"], 0)
    task = sn.create_task(data.spec)
    module = sn.Module(
        task,
        sn.create_model("cnn", width=8, depth=2, **task.model_arguments()),
        plugins=create_plugins({"toy_drop": {}}),
    )
    sn.Trainer(folder=tmp_path, max_epochs=2, console=QUIET, callbacks=[Look()]).fit(module, data)
    (drop,) = module.plugins
    before = seen["before"]
    order = [i for group in before["param_groups"] for i in group["params"]]
    decay = [n for n in seen["names"] if module.model.get_parameter(n.removeprefix("model.")).ndim > 1]
    names = dict(zip(order, [*decay, *[n for n in seen["names"] if n not in decay]], strict=True))
    kept = torch.tensor(drop.channels)
    for number, name in names.items():
        old, new = before["state"][number]["exp_avg"], seen["after"][name]["exp_avg"]
        axis = {
            "model.stage1.3.weight": 0,
            "model.stage1.4.weight": 0,
            "model.stage1.4.bias": 0,
            "model.stage2.1.weight": 1,
        }
        assert torch.equal(new, old.index_select(axis[name], kept) if name in axis else old), name
        assert float(seen["after"][name]["step"]) == 6
    assert seen["lr"] == [group["lr"] for group in before["param_groups"]]


def test_a_plugin_that_never_lets_an_epoch_rank_fails_and_says_so_before_too(tmp_path: Path) -> None:
    said = Console(record=True, file=io.StringIO(), width=200)
    data = digits(RECIPES["gpt"], 0)
    task = sn.create_task(data.spec)
    module = sn.Module(
        task, sn.create_model("cnn", **task.model_arguments()), plugins=create_plugins({"toy_never": {}})
    )
    trainer = sn.Trainer(folder=tmp_path / "run", max_epochs=2, console=said)
    with pytest.raises(NoRankedEpochError, match="none of 2 epochs may be the best one: the plugin 'toy_never'"):
        trainer.fit(module, data)
    assert "plugin 'toy_never' lets none of the 2 epochs rank" in said.export_text()
    assert not (tmp_path / "run/checkpoints/best.ckpt").exists()


def test_only_epochs_that_may_rank_are_the_best(tmp_path: Path) -> None:
    _, _, rows = fit(tmp_path, {"swa": {"start": 2}}, checkpoint={"monitor": "val/loss", "mode": "max"})
    assert max(rows, key=lambda row: row["val/loss"])["epoch"] < 2
    assert read_checkpoint(tmp_path / "checkpoints/best.ckpt")["epoch"] == 2


def test_conflicts_unknown_names_and_wrong_options_are_found_before_the_run(tmp_path: Path) -> None:
    def check(*texts: str) -> None:
        check_run(tiny_config(tmp_path, *texts), QUIET)

    with pytest.raises(ConfigError, match="the plugins 'toy_alone' and 'toy_lora' exclude each other"):
        check("plugins=[toy_lora,toy_alone]")
    with pytest.raises(ConfigError, match="unknown plugin 'emma'"):
        check("plugins=[emma]")
    with pytest.raises(ConfigError, match="decay=2"):
        check("plugins=[ema]", "plugins.ema.decay=2")
    with pytest.raises(ConfigError, match=r"'toy_lora' has no option|unknown setting"):
        check("plugins=[toy_lora]", "plugins.toy_lora.ranc=2")
    with pytest.raises(ConfigError, match="averages weights already"):
        check("optimizer=schedule_free_sgd", "scheduler=constant", "plugins=[ema]")
    check("plugins=[toy_lora,toy_quant,toy_drop,ema]")


def test_checkpoints_of_other_plugins_are_refused(tmp_path: Path) -> None:
    fit(tmp_path / "one", SETS["lora"], max_epochs=1)
    with pytest.raises(CheckpointError, match="with the plugin 'toy_lora'"):
        fit(tmp_path / "two", SETS["quant"], resume=tmp_path / "one/checkpoints/last.ckpt")
    with pytest.raises(CheckpointError, match="without the plugin 'toy_quant'"):
        fit(tmp_path / "two", {**SETS["lora"], **SETS["quant"]}, resume=tmp_path / "one/checkpoints/last.ckpt")
    fit(tmp_path / "drop", SETS["drop"], copies={"before": (1, 0)})
    module, _, _ = fit(tmp_path / "drop2", SETS["drop"])
    with pytest.raises(CheckpointError, match="changed by its plugins after that checkpoint"):
        sn.Trainer(max_epochs=3, console=QUIET).fit(
            module, digits(RECIPES["gpt"], 0), resume=tmp_path / "drop/before.ckpt"
        )
