"""A setting is checked once, and goes on unchanged to where it acts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import scirs_neural
from scirs_neural import train
from scirs_neural.config import compose
from scirs_neural.config.schema import OptimizerConfig, RunConfig
from scirs_neural.runs import train as runs
from scirs_neural.training.module import Module
from scirs_neural.training.trainer import Trainer
from tests.training.tiny import TINY

OURS = str(Path(scirs_neural.__file__).parent)
LIMIT = 7


def functions_above(frame: FrameType | None) -> list[str]:
    """Our functions on the stack, the outermost first."""
    found: list[str] = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            found.insert(0, frame.f_code.co_qualname)
        frame = frame.f_back
    return found


def test_from_an_override_to_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ways: dict[str, list[str]] = {}
    checks: list[str] = []
    rates: list[float] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_filename.startswith(OURS):
            return
        if code.co_filename.endswith("pydantic/main.py") and code.co_name in ("model_validate", "__init__"):
            kind = frame.f_locals["cls"] if code.co_name == "model_validate" else type(frame.f_locals["self"])
            if kind in (RunConfig, OptimizerConfig):
                checks.append(kind.__name__)
                ways.setdefault("checked", functions_above(frame))
        elif code.co_qualname == "AdamW.__init__":
            rates.extend(group["lr"] for group in frame.f_locals["params"])
            ways["constructed"] = functions_above(frame)

    sys.setprofile(watch)
    try:
        train.main([*TINY, "optimizer.lr=0.0123", "trainer=smoke", "logger=none"])
    finally:
        sys.setprofile(None)
    assert set(rates) == {0.0123}
    assert checks == ["RunConfig"]
    way = list(dict.fromkeys([*ways["checked"], *ways["constructed"]]))
    assert len(way) <= LIMIT, way
    assert way[0] == "main"
    assert way[-1] == "build_optimizer"


def test_checked_sections_are_passed_on_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    held: dict[str, Any] = {}
    load, fit = compose.load_config, Trainer.fit
    monkeypatch.setattr(compose, "load_config", lambda *args: held.setdefault("config", load(*args)))

    def watched(trainer: Trainer, module: Module, data: Any) -> Any:
        held["trainer"], held["module"] = trainer, module
        return fit(trainer, module, data)

    monkeypatch.setattr(runs.Trainer, "fit", watched)
    train.main([*TINY, "trainer=smoke", "logger=none"])
    config, module = held["config"], held["module"]
    assert held["trainer"].settings is config.trainer
    assert module.optimizer_settings is config.optimizer
    assert module.scheduler_settings is config.scheduler
    assert module.finetune is config.finetune
