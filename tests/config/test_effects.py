"""Settings that change nothing because of another one are said to."""

from __future__ import annotations

import pytest

from scirs_neural import train
from scirs_neural.config.effects import IDLE, without_effect
from scirs_neural.config.validate import all_settings
from scirs_neural.core.command import run_command

# by setting: what makes it act
CASES = {
    "finetune.head_epochs=3": "finetune.enabled=true",
    "finetune.unfreeze=gradual": "finetune.enabled=true",
    "trainer.gradient_clip_algorithm=agc": "trainer.gradient_clip_val=1.0",
    "trainer.tensor_parallel_rowwise=[a]": "trainer.tensor_parallel=2",
    "trainer.fp32_modules=[LSTM]": "trainer.precision=bf16-mixed",
    "trainer.min_epochs=2": "callbacks=[early_stopping]",
    "trainer.min_steps=2": "trainer.max_time=00:00:01:00",
    "optimizer.decay_norm_and_bias=true": "optimizer.groups=[{weight_decay:0.1}]",
}
NOT_BESIDE = {
    "trainer.limit_val_batches=3": "trainer.overfit_batches=2",
    "data.mixup=0.2": "trainer.overfit_batches=2",
    "data.prefetch_factor=4": "data.num_workers=0",
    "trainer.checkpoint.every_n_steps=5": "trainer.checkpoint.save_last=false",
}


@pytest.mark.parametrize("typed", CASES)
def test_a_setting_without_what_it_needs(compose, typed):
    more = ("optimizer.weight_decay=0.0",) if typed.startswith("optimizer") else ()
    (said,) = without_effect(compose(typed, *more))
    assert said.startswith(typed.split("=")[0])
    assert list(without_effect(compose(typed, CASES[typed], *more))) == []


@pytest.mark.parametrize("typed", NOT_BESIDE)
def test_a_setting_beside_what_overrules_it(compose, typed):
    assert list(without_effect(compose(typed))) == []
    (said,) = without_effect(compose(typed, NOT_BESIDE[typed]))
    assert said.startswith(typed)


def test_the_shipped_experiments_have_none(compose):
    for typed in ((), ("experiment=images",), ("experiment=regression",), ("experiment=fine_tuning", "data.root=x")):
        assert list(without_effect(compose(*typed))) == []


def test_every_rule_names_settings_that_exist():
    known = all_settings()
    for rule in IDLE:
        for pattern in rule.settings:
            assert any(name == pattern or name.startswith(pattern.removesuffix("*")) for name in known), pattern


def test_the_header_says_so(home, capsys):
    assert run_command(train.main, ["--check", "model=cnn", "finetune.head_epochs=3"]) == 0
    assert "finetune.head_epochs=3 acts with finetune.enabled=true only" in " ".join(capsys.readouterr().out.split())
