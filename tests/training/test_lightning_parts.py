"""Every private part of Lightning that is used, by name: an update that moves one fails here first."""

from __future__ import annotations

import ast
from pathlib import Path

import lightning.pytorch as L
import pytest
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.optimization import automatic, manual
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.loops.utilities import _block_parallel_sync_behavior
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.logger_connector import result

import scirs_neural

HOME = Path(scirs_neural.__file__).parent
LOOPS = HOME / "training" / "loops"
PARTS = {
    _FitLoop: ("restarting", "on_advance_end", "epoch_loop", "_combined_loader", "_should_accumulate"),
    _TrainingEpochLoop: (
        "run", "advance", "on_advance_end", "on_run_start", "reset", "_broadcast_sigterm_tensor", "_build_kwargs",
        "_is_training_done", "_update_learning_rates", "batch_idx", "total_batch_idx",
    ),
    automatic._AutomaticOptimization: ("run", "_make_closure", "_optimizer_step", "_training_step"),
    automatic.Closure: ("closure", "consume_result"),
    automatic.ClosureResult: ("from_training_step_output", "asdict"),
    manual._ManualOptimization: ("run",),
    result._ResultCollection: ("__getitem__", "items", "values", "update"),
    result._ResultMetric: ("update", "compute", "reset"),
    Strategy: ("training_step", "backward", "optimizer_step", "_lightning_optimizers"),
    Precision: ("convert_input", "forward_context", "train_step_context", "pre_backward", "post_backward"),
    L.LightningModule: ("_on_before_batch_transfer",),
}  # fmt: skip
ON_OBJECTS = {
    "_TrainingEpochLoop": (
        "_results", "_restarting", "_batches_that_stepped", "batch_progress", "scheduler_progress", "val_loop",
    ),
    "_AutomaticOptimization": ("optim_progress", "_skip_backward"),
    "_ManualOptimization": ("optim_step_progress",),
    "Trainer": ("_logger_connector", "_val_check_time_interval", "lr_scheduler_configs"),
    "LightningModule": ("_current_fx_name",),
    "_LoggerConnector": ("_first_loop_iter", "_callback_metrics"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in PARTS.items() for name in names])
def test_a_part_of_a_class_is_there(kind: type, name: str) -> None:
    if (kind, name) in ((_FitLoop, "epoch_loop"), (_FitLoop, "_combined_loader"), (Strategy, "_lightning_optimizers")):
        pytest.skip("an attribute of objects")
    assert hasattr(kind, name)


def test_parts_of_objects_are_there() -> None:
    trainer = L.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    loop = trainer.fit_loop.epoch_loop
    held = {
        "_TrainingEpochLoop": loop, "_AutomaticOptimization": loop.automatic_optimization, "Trainer": trainer,
        "_ManualOptimization": loop.manual_optimization, "LightningModule": L.LightningModule(),
        "_LoggerConnector": trainer._logger_connector,
    }  # fmt: skip
    for kind, names in ON_OBJECTS.items():
        assert [name for name in names if not hasattr(held[kind], name)] == [], kind
    assert hasattr(trainer.fit_loop, "_combined_loader")
    assert hasattr(trainer.strategy, "_lightning_optimizers")
    assert callable(call._call_strategy_hook)
    assert callable(call._call_lightning_module_hook)
    assert callable(_block_parallel_sync_behavior)
    assert hasattr(_PrefetchDataFetcher(), "fetched")


def private_imports(path: Path) -> list[str]:
    """Private names of Lightning that a file imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning"):
            found += [alias.name for alias in node.names if alias.name.startswith("_")]
    return found


def test_private_parts_are_used_in_one_package() -> None:
    users = {
        path.relative_to(HOME) for path in HOME.rglob("*.py") if LOOPS not in path.parents and private_imports(path)
    }
    assert users == set()
    text = "".join(path.read_text() for path in (HOME / "training").glob("*.py"))
    text += "".join(path.read_text() for path in (HOME / "training" / "callbacks").glob("*.py"))
    for name in ("_results", "_logger_connector", "_current_fx_name", "_batches_that_stepped", "_restarting"):
        assert f".{name}" not in text, name


def test_the_minor_version_of_lightning_is_pinned() -> None:
    text = (HOME.parent / "pyproject.toml").read_text()
    assert "lightning>=2.6.6,<2.7" in text
