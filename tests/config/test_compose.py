"""What is composed: shipped values, registered names with their options, overrides, files of the user's."""

# ruff: noqa: E501 - commands and files
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scirs_neural.config.overrides import sweep_points
from scirs_neural.config.schema import RunConfig
from scirs_neural.config.tree import Tree
from scirs_neural.core.errors import ConfigError, ManyErrors
from scirs_neural.runs.groups import config_groups


def test_the_shipped_configuration(compose):
    config = compose()
    assert (config.model.name, config.data.name, config.task.name) == ("resnet18", "digits", "auto")
    assert config.callbacks == {}


def test_a_chosen_name_brings_its_options(compose):
    config = compose(
        "optimizer=sgd", "scheduler=step", "callbacks=[device_stats,timer]", "callbacks.device_stats.cpu_stats=true"
    )
    assert config.optimizer.options() | {"momentum": 0.0, "nesterov": False} == config.optimizer.options()
    assert config.scheduler.options() == {"step_size": 30, "gamma": 0.1}
    assert list(config.callbacks) == ["device_stats", "timer"]
    assert config.callbacks["device_stats"]["cpu_stats"] is True


@pytest.mark.parametrize("group", ["model", "data", "task", "optimizer", "scheduler"])
def test_every_registered_name_can_be_chosen(compose, group):
    registry = config_groups()[group]
    for name in registry.names()[:: max(1, len(registry) // 6)]:
        needed = [f"{group}.{key}=x" for key, value in registry.options(name).items() if not isinstance(value, object)]
        needed += ["data.path=x"] if name == "csv" else ["data.root=x"] if name == "image_folder" else []
        section = getattr(compose(f"{group}={name}", *needed), group)
        assert section.name == name


def test_a_setting_wins_over_the_shipped_value_and_a_plus_makes_no_difference(compose):
    for typed in ("optimizer.lr=0.5", "+optimizer.lr=0.5", "++optimizer.lr=0.5", "optimizer={lr:0.5}"):
        assert compose(typed).optimizer.lr == 0.5
    assert compose("trainer=smoke", "trainer.max_epochs=4").trainer.limit_train_batches == 2
    assert compose("+model=resnet50").model.name == "resnet50"


@pytest.mark.parametrize("named", ["./net.py:Net", "my_nets:Net", "./net.yaml", "./net.json", "/a b/it's.py:Net"])
def test_a_network_of_the_user_s_passes_with_options_that_nobody_can_check(compose, named):
    typed = named.replace("'", r"\'")
    model = compose(f"model='{typed}'", "model.width=3").model
    assert model.name == named
    assert model.options() == {"width": 3}


def test_a_callback_of_the_user_s_is_named_in_its_settings(compose):
    config = compose("+callbacks.mine.name='./mine.py:Mine'", "+callbacks.mine.size=3")
    assert config.callbacks == {"mine": {"name": "./mine.py:Mine", "size": 3}}


def test_a_module_of_the_user_s_adds_names(compose, write):
    write(
        "nets.py",
        "from scirs_neural.models import MODELS\n\n@MODELS.register('tiny_of_mine')\ndef make(width=3):\n    pass\n",
    )
    try:
        config = compose("plugins_modules=[./nets.py]", "model=tiny_of_mine", "model.width=4")
        assert config.model.options() == {"width": 4}
        with pytest.raises(ConfigError, match=r"unknown setting 'model.widht' of model 'tiny_of_mine'"):
            compose("plugins_modules=[./nets.py]", "model=tiny_of_mine", "model.widht=4")
    finally:
        config_groups()["model"]._entries.pop("tiny_of_mine", None)


def test_the_user_s_configs_extend_the_shipped_ones(compose, write):
    write("configs/model/wide.yaml", "name: cnn\nweights: null\n")
    write("configs/finetune/heads.yaml", "enabled: true\nhead_epochs: 2\n")
    write(
        "configs/experiment/first.yaml",
        "\n# @package _global_\n# what it is for\ndefaults:\n  - override /model: wide\n  - override /optimizer: sgd\n"
        "  - override /callbacks: [device_stats]\nseed: 7\noptimizer:\n  lr: 0.25\n  momentum: 0.5\n",
    )
    config = compose("experiment=first", "+finetune=heads", "seed=8")
    assert (config.model.name, config.optimizer.name, config.optimizer.lr, config.seed) == ("cnn", "sgd", 0.25, 8)
    assert config.optimizer.options()["momentum"] == 0.5
    assert list(config.callbacks) == ["device_stats"]
    assert config.finetune.head_epochs == compose("finetune=heads").finetune.head_epochs == 2


def test_another_folder_of_configs_with_a_name_that_needs_quotes(compose, write):
    write("my, [own] it's=/experiment/a.yaml", "# @package _global_\nseed: 3\n")
    assert compose("experiment=a", config_dir=Path("my, [own] it's=")).seed == 3
    with pytest.raises(ConfigError, match="no such folder: nowhere"):
        compose(config_dir=Path("nowhere"))


def test_faults_in_the_user_s_files_are_found_with_file_and_line(faults, write):
    write("configs/model/mine.yaml", "name: resnet18\n\nwidht: 3\n")
    write("configs/model/wrong.yaml", "# a comment\nname: resnet51\n")
    text = "# @package _global_\ndefaults:\n  - override /model: mine\noptimizer:\n  lr: ten\n  foo: 3\nlogger:\n  tensorboard:\n    graf: true\n"
    write("configs/experiment/bad.yaml", text)
    found = {fault.what.partition(",")[0]: fault.where for fault in faults("experiment=bad", "trainer.max_epochs=0")}
    assert found == {
        "unknown setting 'model.widht' of model 'resnet18'": "configs/model/mine.yaml, line 3",
        "optimizer.lr must be a number": "configs/experiment/bad.yaml, line 5",
        "unknown setting 'optimizer.foo' of optimizer 'adamw'": "configs/experiment/bad.yaml, line 6",
        "unknown setting 'logger.tensorboard.graf' of logger 'tensorboard'": "configs/experiment/bad.yaml, line 9",
        "trainer.max_epochs must be greater than or equal to 1": "command line, trainer.max_epochs=0",
    }
    (fault,) = faults("model=wrong")
    assert (fault.what, fault.where) == ("unknown model 'resnet51'", "configs/model/wrong.yaml, line 2")
    (fault,) = faults("model=mien")
    assert "mine" in fault.suggestions


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("# @package _global_\ndefaults:\n  - override /model: resnet51\n", "unknown model 'resnet51'", 3),
        ("# @package _global_\nseed: [\n", "cannot read YAML", 3),
        ("# @package _global_\n\nseed: ${nope}\n", "Interpolation key 'nope' not found", 3),
        ("# @package _global_\nmodel:\n  _target_: os.system\n", "unknown setting 'model._target_'", 3),
    ],
)
def test_an_experiment_that_cannot_be_composed(faults, text, what, line, write):
    write("configs/experiment/e.yaml", text)
    (fault,) = faults("experiment=e")
    assert fault.what.startswith(what)
    assert fault.where.endswith(f"configs/experiment/e.yaml, line {line}") or f"e.yaml, line {line}" in fault.where


def test_a_defaults_list_that_names_no_file(faults, write):
    write("configs/experiment/e.yaml", "# @package _global_\ndefaults:\n  - override /trainer: smok\n")
    (fault,) = faults("experiment=e")
    assert (fault.what, fault.suggestions, fault.where) == (
        "unknown trainer 'smok'",
        ("smoke",),
        "configs/experiment/e.yaml, line 3",
    )


def test_an_experiment_without_the_line_that_makes_it_one(faults, write):
    write("configs/experiment/e.yaml", "# notes\n# @package _global_\ndefaults:\n  - override /model: cnn\n")
    (fault,) = faults("experiment=e")
    assert fault.fix == "the first line of an experiment must be: # @package _global_"


def test_the_user_s_files_shadow_the_shipped_ones(compose, write):
    write("configs/trainer/smoke.yaml", "max_epochs: 3\n")
    assert (compose("trainer=smoke").trainer.max_epochs, compose().trainer.max_epochs) == (3, 8)
    adamw = compose().optimizer.options()
    write("configs/trainer/default.yaml", "max_epochs: 4\nprecision: bf16-mixed\n")
    write("configs/optimizer/adamw.yaml", "name: adamw\nlr: 0.5\n")
    write("configs/model/resnet18.yaml", "name: cnn\nwidth: 5\n")
    config = compose()
    assert (config.trainer.max_epochs, config.trainer.precision) == (4, "bf16-mixed")
    assert (config.optimizer.lr, config.optimizer.weight_decay, config.optimizer.options()) == (0.5, 0.05, adamw)
    assert (config.model.name, config.model.options()) == ("cnn", {"depth": 3, "width": 5, "dropout": 0.0})


def test_the_user_s_primary_config_shadows_the_shipped_one(compose, faults, write):
    lines = "defaults:\n  - model: cnn\n  - data: mnist5k\n  - task: classification\n  - optimizer: sgd\n"
    write("configs/train.yaml", f"{lines}  - scheduler: constant\n  - _self_\noptimizer:\n  momentum: 0.5\n")
    config = compose(
        "trainer=smoke", "callbacks=[device_stats]", "optimizer.lr=0.25", "logger=csv"
    )  # none in its defaults list
    assert (config.model.name, config.data.name, config.optimizer.name) == ("cnn", "mnist5k", "sgd")
    assert (config.optimizer.options()["momentum"], config.trainer.limit_train_batches) == (0.5, 2)
    assert (list(config.callbacks), list(config.logger)) == (["device_stats"], ["csv"])
    write("configs/train.yaml", f"{lines}  - _self_\noptimizer:\n  momentum: high\n")
    assert "the setting 'scheduler' is missing" in {fault.what for fault in faults()}
    (fault,) = faults("scheduler=constant")
    assert (fault.what, fault.where) == (
        "optimizer.momentum must be a number, not 'high'",
        "configs/train.yaml, line 8",
    )


def test_another_primary_config_of_the_user_s_may_build_on_the_shipped_one(compose, faults, write):
    write("configs/mine.yaml", "defaults:\n  - train\n  - override optimizer: sgd\n  - _self_\nseed: 4\n")
    config = compose("model=cnn", config_name="mine")
    assert (config.seed, config.optimizer.name, config.model.name) == (4, "sgd", "cnn")
    (fault,) = faults(config_name="min")
    assert (fault.what, fault.suggestions, fault.where) == ("no config 'min'", ("mine",), "command line, --config-name")


def test_what_comes_last_in_a_defaults_list_wins_and_is_named(faults, write):
    write("configs/model/mine.yaml", "defaults:\n  - cnn\nwidth: many\n")
    (fault,) = faults("model=mine")
    assert (fault.what, fault.where) == (
        "model.width must be a whole number, not 'many'",
        "configs/model/mine.yaml, line 3",
    )


def test_interpolations_and_resolvers_of_the_user_s_work(compose, home, monkeypatch, write):
    monkeypatch.setenv("HOME", "/home/somebody")
    write(
        "configs/experiment/e.yaml",
        "# @package _global_\ndata:\n  split_seed: ${seed}\npaths:\n  runs: ${oc.env:HOME}/runs\n",
    )
    config = compose("experiment=e", "seed=5", "finetune.head_epochs=${seed}")
    assert (config.data.split_seed, config.paths.runs, config.finetune.head_epochs) == (5, "/home/somebody/runs", 5)


def test_the_groups_and_their_values(home, write):
    write("configs/model/mine.yaml", "name: cnn\n")
    tree = Tree(config_groups(), [home / "configs"])
    assert tree.groups() >= {"model", "data", "task", "optimizer", "scheduler", "callbacks", "trainer", "experiment"}
    assert {"mine", "resnet50"} <= set(tree.values("model"))
    assert set(tree.values("trainer")) >= {"default", "smoke"}
    assert not {"hydra", "__pycache__"} & tree.groups()


def test_a_sweep_is_every_combination():
    assert sweep_points(
        ["seed=0,1", "model=cnn", "trainer.max_epochs=range(1,4)", "callbacks=[device_stats],[timer]"]
    ) == [
        [f"seed={seed}", "model=cnn", f"trainer.max_epochs={epochs}", f"callbacks={callbacks}"]
        for seed in (0, 1)
        for epochs in (1, 2, 3)
        for callbacks in ("[device_stats]", "[timer]")
    ]
    assert sweep_points([]) == [[]]
    assert sweep_points(["optimizer.lr=choice(0.1,0.2)", "seed"]) == [
        ["optimizer.lr=0.1", "seed"],
        ["optimizer.lr=0.2", "seed"],
    ]


@pytest.mark.parametrize("group", ["callbacks", "plugins", "logger"])
def test_none_of_several(compose, saved, write, group):
    for nothing in (f"{group}=none", f"{group}=[]", f"{group}=null"):
        assert getattr(compose("callbacks=[device_stats]", nothing), group) == {}
        assert getattr(compose(nothing, config_file=saved(compose("callbacks=[device_stats]"))), group) == {}
    write("configs/experiment/e.yaml", f"# @package _global_\ndefaults:\n  - override /{group}: none\n")
    assert getattr(compose("experiment=e"), group) == {}


def test_loggers_and_callbacks_of_the_user_s_are_chosen_like_registered_ones(compose, saved):
    one, several = "logger=./mine.py:Mine", "callbacks=[device_stats,./mine.py:Beep]"
    for config in (compose(one, several), compose(one, several, config_file=saved(compose()))):
        assert config.logger == {"Mine": {"name": "./mine.py:Mine"}}
        assert config.callbacks["Beep"] == {"name": "./mine.py:Beep"}
        assert list(config.callbacks) == ["device_stats", "Beep"]


def test_hydra_looks_into_further_folders(compose, faults, write):
    write("shared/model/wide.yaml", "name: cnn\nwidth: 99\n")
    write("configs/model/narrow.yaml", "name: cnn\nwidth: 3\n")
    path = "hydra.searchpath=[file://shared]"
    assert compose("model=wide", path).model.options()["width"] == 99
    assert compose("model=narrow", path).model.options()["width"] == 3
    (fault,) = faults("hydra.searchpath=[file://nowhere]")
    assert fault.what == "no such folder: file://nowhere"


def test_hydra_of_another_program_in_this_process_is_left_alone(compose, write):
    from hydra import compose as hydras
    from hydra import initialize_config_dir

    compose()
    folder = write("theirs/app.yaml", "a: 1\n").parent
    with initialize_config_dir(str(folder), version_base="1.3"):
        assert dict(hydras("app")) == {"a": 1}
        assert dict(hydras("app", overrides=["+model=resnet18"])) == {"a": 1, "model": "resnet18"}  # a text: no group


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("hydra.run.dir=x", "paths.runs=FOLDER"), ("hydra.sweep.dir=x", "paths.runs=FOLDER"), ("hydra.mode=MULTIRUN", "-m"),
        ("+hydra.callbacks={a:1}", "callbacks="), ("hydra/launcher=joblib", "tune.workers"), ("hydra.job.name=x", "leave it out"),
    ],
)  # fmt: skip
def test_settings_of_hydra_s_own_are_refused_with_what_to_write_instead(faults, compose, saved, typed, instead):
    for request in ({}, {"config_file": saved(compose())}):
        (fault,) = faults(typed, **request)
        assert fault.what.endswith("is not obeyed: Hydra only composes here")
        assert (fault.where, instead in fault.fix) == (f"command line, {typed}", True)


def test_settings_of_hydra_s_own_in_files_are_refused(faults, write):
    write("configs/experiment/e.yaml", "# @package _global_\nseed: 3\nhydra:\n  run:\n    dir: x\n")
    (fault,) = faults("experiment=e")
    assert fault.what == "the section 'hydra' is not obeyed: Hydra only composes here"
    assert fault.where == "configs/experiment/e.yaml, line 3"


@pytest.fixture
def saved(write):
    def put(config: RunConfig) -> Path:
        return write("run/config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    return put


def test_a_saved_configuration_is_loaded_again_as_it_was(compose, saved):
    first = compose(
        "model=vit_b_16", "optimizer=adafactor", "scheduler=multi_step", "callbacks=[device_stats,early_stopping]", "trainer=smoke",
        "task.loss=[{name:cross_entropy,weight:0.5}]", "optimizer.lr=1e-5", "trainer.devices=[0]", "data=csv", "data.path=a.csv",
    )  # fmt: skip
    assert compose(config_file=saved(first)) == first


def test_a_saved_configuration_can_be_changed(compose, saved):
    file = saved(compose("optimizer=adamw", "callbacks=[device_stats]"))
    changed = compose("optimizer=sgd", "optimizer.momentum=0.9", "seed=9", "model='./net.py:Net'", "+model.width=3",
                      "~callbacks.device_stats", "trainer.checkpoint.save_top_k=3", config_file=file)  # fmt: skip
    assert changed.optimizer.options() == {"momentum": 0.9}
    assert changed.optimizer.lr == compose().optimizer.lr
    assert (changed.model.name, changed.model.options()) == ("./net.py:Net", {"width": 3})
    assert (changed.seed, changed.callbacks, changed.trainer.checkpoint.save_top_k) == (9, {}, 3)


OLD_LOGGER = {"tensorboard": True, "histograms": True, "images": False, "graph": False}


def test_a_configuration_saved_by_an_earlier_version_is_migrated(compose, write):
    old = compose().model_dump(mode="json")
    for key in ("plugins", "answer"):
        del old[key]
    for key in ("fast_dev_run", "val_check_interval", "profiler"):
        del old["trainer"][key]
    for logger, today in (
        (OLD_LOGGER, {"histograms": True, "images": False, "graph": False}),
        ({"tensorboard": False}, None),
    ):
        file = write("run/config.yaml", yaml.safe_dump({**old, "logger": logger}))
        config = compose(config_file=file)
        assert config.logger == ({"tensorboard": today} if today else {})
        assert config.model_copy(update={"logger": compose().logger}) == compose()


def test_names_of_tasks_are_migrated():
    from scirs_neural.config.migrate import migrate
    from scirs_neural.core.registry import Registry

    tasks = Registry("task")
    for old in ("image_classification", "table_classification"):
        assert migrate({"task": {"name": old, "loss": "x"}}, {"task": tasks})["task"] == {"name": "auto", "loss": "x"}
    tasks.add("image_classification", "a:b")
    assert (
        migrate({"task": {"name": "image_classification"}}, {"task": tasks})["task"]["name"] == "image_classification"
    )
    assert migrate({"task": 3, "logger": None}, {}) == {"task": 3, "logger": None}


def test_of_very_many_faults_the_first_are_shown_and_the_others_counted(compose, write):
    file = write("run/config.yaml", "".join(f"k{n}: 1\n" for n in range(3000)))
    with pytest.raises(ManyErrors) as caught:
        compose(config_file=file)
    assert len(caught.value.errors) == 21
    assert caught.value.errors[-1].what.startswith("and 2,98")  # settings that are missing too
    write("run/config.yaml", "".join(f"k{n}: 1\n" for n in range(30_000)))
    with pytest.raises(ConfigError, match="more than 20,000 values"):
        compose(config_file=file)


def test_what_averages_no_longer_have_is_said():
    from scirs_neural.config.migrate import migrate

    saved = {"decay": 0.9, "use_buffers": True, "update_starting_at_epoch": 3, "update_starting_at_step": None}
    with pytest.warns(UserWarning, match="which has no update_starting_at_epoch=3"):
        assert migrate({"callbacks": {"ema": saved}}, {})["plugins"] == {"ema": {"decay": 0.9}}


def test_what_is_wrong_in_a_saved_configuration_or_its_changes_is_found(faults, compose, saved):
    file = saved(compose())
    file.write_text(file.read_text().replace("max_epochs: 8", "max_epochs: eight") + "epoch: 3\n")
    found = {
        fault.what.partition(",")[0]: fault.where
        for fault in faults("optimizer=sdg", "trainer=smoke", config_file=file)
    }
    assert found["trainer.max_epochs must be a whole number"].startswith("run/config.yaml, line ")
    assert found["unknown setting 'epoch'"].startswith("run/config.yaml, line ")
    assert found["unknown optimizer 'sdg'"] == "command line, optimizer=sdg"
    assert found["'trainer' cannot be exchanged with --from"] == "command line, trainer=smoke"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("paths:\n  runs: ${oc.env:HOME}\n", "a saved configuration is plain data"),
        ("paths: [\n", "cannot read the configuration"),
        ("- 1\n", "a configuration is a YAML mapping"),
        ("a: !!python/object/apply:os.system [echo]\n", "cannot read the configuration"),
    ],
)
def test_a_saved_configuration_is_plain_data(faults, text, what, write):
    (fault,) = faults(config_file=write("config.yaml", text))
    assert fault.what.startswith(what)
    assert "config.yaml" in fault.where


def test_a_saved_configuration_that_is_not_there(faults):
    (fault,) = faults(config_file=Path("nowhere.yaml"))
    assert fault.what.startswith("cannot read the configuration")


@pytest.mark.parametrize("path", ["Käfer & Spinnen", "日本/写真", "/data/a;b#c?", "größe=1", "ünï cödé", "C:\\Bilder"])
def test_a_path_in_any_language_needs_no_quotes(compose, path):
    assert compose("data=image_folder", f"data.root={path}").data.root == path
