"""Every wrong setting is refused, all of them in one pass, each with where it came from and what was meant."""

# ruff: noqa: E501 - a table
from __future__ import annotations

import pytest

from scirs_neural.core.errors import ManyErrors

# what is typed: (what is said, what is suggested, a part of the fix)
ONE = {
    "trainer.max_epoch=3": ("unknown setting 'trainer.max_epoch'", ["trainer.max_epochs"], None),
    "+epoch=3": ("unknown setting 'epoch'", ["trainer.max_epochs"], None),
    "++lr=0.1": ("unknown setting 'lr'", ["optimizer.lr"], None),
    "learning_rate=0.1": ("unknown setting 'learning_rate'", ["optimizer.lr"], None),
    "+zebra.stripes=3": ("unknown setting 'zebra'", [], "--help shows every setting"),
    "trainer.checkpoint.monitr=x": ("unknown setting 'trainer.checkpoint.monitr'", ["trainer.checkpoint.monitor"], None),
    "trainer.max_epochs=ten": ("trainer.max_epochs must be a whole number, not 'ten'", [], None),
    "trainer.max_epochs=2.5": ("trainer.max_epochs must be a whole number, not 2.5", [], None),
    "trainer.max_epochs='3'": ("trainer.max_epochs must be a whole number, not '3'", [], None),
    "trainer.max_epochs=0": ("trainer.max_epochs must be greater than or equal to 1, not 0", [], None),
    "trainer.max_epochs=null": ("trainer.max_epochs must be a whole number, not null", [], None),
    "trainer.deterministic=yes_please": ("trainer.deterministic must be true or false, not 'yes_please'", [], None),
    "trainer.gradient_clip_val=-1": ("trainer.gradient_clip_val must be greater than or equal to 0, not -1", [], None),
    "trainer=3": ("unknown trainer '3'", [], "ddp, debug, default, gpu"),
    "seed=-1": ("seed must be greater than or equal to 0, not -1", [], None),
    "optimizer.lr=fast": ("optimizer.lr must be a number, not 'fast'", [], None),
    "data.val_fraction=1.0": ("data.val_fraction must be less than 1, not 1.0", [], None),
    "data.on_corrupt=skipp": ("data.on_corrupt cannot be 'skipp'", ["skip"], "raise, skip"),
    "trainer.precision=16": ("trainer.precision cannot be 16", [], "32-true, 16-mixed, bf16-mixed"),
    "model=resnet51": ("unknown model 'resnet51'", ["resnet50"], None),
    "model.name=resnet51": ("unknown model 'resnet51'", ["resnet50"], None),
    "optimizer=sdg": ("unknown optimizer 'sdg'", ["sgd"], None),
    "scheduler=cosin": ("unknown scheduler 'cosin'", ["cosine"], None),
    "data=digit": ("unknown data 'digit'", ["digits"], None),
    "task=classificaton": ("unknown task 'classificaton'", ["classification"], None),
    "trainer=smok": ("unknown trainer 'smok'", ["smoke"], "default, gpu"),
    "experiment=mine": ("unknown experiment 'mine'", [], "choose one of fine_tuning, images"),
    "callbacks=[timr]": ("unknown callback 'timr'", ["timer"], None),
    "callbacks=[timer,early_stop]": ("unknown callback 'early_stop'", ["early_stopping"], None),
    "+callbacks.timer.durasion=1": ("unknown setting 'callbacks.timer.durasion' of callback 'timer'", ["callbacks.timer.duration"], None),
    "plugins=[emma]": ("unknown plugin 'emma'", ["ema"], None),
    "+plugins.ema.decai=0.9": ("unknown setting 'plugins.ema.decai' of plugin 'ema'", ["plugins.ema.decay"], None),
    "optimizer.betos=[0.9,0.9]": ("unknown setting 'optimizer.betos' of optimizer 'adamw'", ["optimizer.betas"], None),
    "optimizer.betas=0.9": ("optimizer.betas must be a list, not 0.9", [], None),
    "optimizer.amsgrad=3": ("optimizer.amsgrad must be true or false, not 3", [], None),
    "model.depth_of_sea=3": ("unknown setting 'model.depth_of_sea' of model 'resnet18'", [], "resnet18 takes name, weights"),
    "data=csv": ("data 'csv' needs the setting 'data.path'", [], "write data.path="),
    "data=image_folder": ("data 'image_folder' needs the setting 'data.root'", [], "write data.root="),
    "seed=1,2": ("'seed' has several values", [], "add -m"),
    "model=glob(resnet*)": ("'model' has several values", [], "write them out"),
    "seed": ("cannot read 'seed'", [], "write key=value"),
    "model._target_=os.system": ("unknown setting 'model._target_' of model 'resnet18'", [], None),
    "+_target_=os.system": ("unknown setting '_target_'", [], None),
    "trainer._target_=os.system": ("unknown setting 'trainer._target_'", [], None),
    "+data.transforms._target_=os.system": ("data.transforms", [], None),
    "plugins_modules=[no_such_module]": ("no module named 'no_such_module'", [], None),
    "plugins_modules=[./no_such.py]": ("no such file: ./no_such.py", [], None),
    "optimizer.lr=${nope}": ("Interpolation key 'nope' not found", [], None),
}  # fmt: skip


@pytest.mark.parametrize("typed", ONE)
def test_one_wrong_setting(faults, typed):
    what, suggestions, fix = ONE[typed]
    (fault,) = faults(typed)
    assert fault.what.startswith(what)
    assert fault.where == f"command line, {typed}"
    assert set(suggestions) <= set(fault.suggestions)
    if suggestions:
        assert fault.suggestions[0] == suggestions[0]
    assert fix is None or fix in fault.fix
    assert len(fault.render().splitlines()) <= 6


def test_all_faults_are_found_in_one_pass(faults):
    apart = (
        "model",
        "data",
        "optimizer",
        "trainer",
        "scheduler",
        "seed",
        "epoch",
        "callbacks",
        "experiment",
        "task",
        "model.name",
        "optimizer.lr",
    )
    by_key = {text.partition("=")[0].lstrip("+"): text for text in ONE}  # of one key only the last one counts
    typed = [text for key, text in by_key.items() if key not in apart]
    typed = [*typed, "optimizer.lr=fast", "data=csv", "callbacks=[timr]"]
    said = [fault.what for fault in faults(*typed)]
    expected = [text for text in typed if text in ONE]
    assert len(expected) > 20
    for text in expected:
        assert any(what.startswith(ONE[text][0]) for what in said), text


def test_they_are_shown_below_each_other(compose):
    with pytest.raises(ManyErrors) as caught:
        compose("model=resnet51", "+epoch=3", "trainer.max_epochs=ten", "data=csv")
    text = caught.value.render()
    assert text.count("error: ") == 4
    assert text.count("  from   command line, ") == 4


def test_what_hydra_cannot_compose_hides_no_other_fault(faults):
    said = {fault.what.partition(" not")[0] for fault in faults("optimizer.lr=${nope}", "trainer=smok", "seed=1,2")}
    assert said == {"Interpolation key 'nope'", "unknown trainer 'smok'", "'seed' has several values"}


def test_a_fault_in_a_list_names_its_place(faults):
    (fault,) = faults("plugins_modules=[3]")
    assert fault.what == "plugins_modules.0 must be a text, not 3"
    assert fault.where == "command line, plugins_modules=[3]"
