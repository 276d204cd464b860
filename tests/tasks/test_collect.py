"""The one inference loop: answers of a network in the samples' order, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scirs_neural.core.errors import DataError
from scirs_neural.data.context import Context
from scirs_neural.data.spec import DataSpec
from scirs_neural.evaluation.registry import load_predictions
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.collect import collect
from scirs_neural.tasks.task import Task

SPEC = DataSpec("toy", {"x": {"kind": "row"}}, {"y": {"kind": "class", "classes": ["no", "yes"]}})
IDS = [f"s{i}" for i in range(10)]


class Toy(Task):
    name = "toy"
    main_metric = "accuracy"

    @property
    def predictions(self):
        return ClassPredictions

    def to_tensors(self, outputs, batch):
        return {"probabilities": outputs.float().softmax(dim=1)}

    def target_arrays(self, outputs, batch):
        return {"target": batch["y"].numpy()}

    def header(self):
        return {"classes": ["no", "yes"]}


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def batches(size, **more):
    x, y = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 2
    for i in range(0, 10, size):
        held = {name: values[i : i + size] for name, values in more.items()}
        yield {"id": IDS[i : i + size], "x": x[i : i + size], "y": y[i : i + size], "nested": {"z": [x[i]]}, **held}


@pytest.mark.parametrize("size", [1, 3, 10])
def test_answers_are_those_of_the_network_in_evaluation_mode(model, size):
    model.train()
    model[1].eval()
    pred = collect(Toy(SPEC), model, batches(size), ctx=Context("test"))
    assert (model.training, model[1].training, model[2].training) == (True, False, True)
    model.eval()
    x = next(batches(10))["x"]
    np.testing.assert_allclose(pred.columns["probabilities"], model(x).softmax(1).detach().numpy(), atol=1e-6)
    assert list(pred.ids) == IDS
    assert pred.columns["target"].tolist() == [0, 1] * 5
    assert pred.header == {"classes": ["no", "yes"]}
    assert pred.units is None


def test_without_targets(model):
    pred = collect(Toy(SPEC), model, batches(4), with_targets=False)
    assert list(pred.columns) == ["probabilities"]


def test_columns_can_be_written_as_they_come(model, tmp_path):
    unit = [f"p{i // 5}" for i in range(10)]
    asked, units = {"weight": torch.arange(10.0)}, dict(zip(IDS, unit, strict=True))
    kept = collect(Toy(SPEC), model, batches(4, **asked), units=units, folder=tmp_path / "new" / "test")
    whole = collect(Toy(SPEC), model, batches(4, **asked), units=units)
    for pred in (kept, whole, load_predictions(tmp_path / "new" / "test")):
        assert list(pred.ids) == IDS
        assert list(pred.units) == unit
        assert pred.columns["weight"].tolist() == list(range(10))
        np.testing.assert_array_equal(pred.columns["probabilities"], whole.columns["probabilities"])


def test_a_loss_beside_the_answers(model):
    seen = []

    def each(outputs, batch):
        assert torch.is_inference_mode_enabled()
        seen.append(float(nn.functional.cross_entropy(outputs, batch["y"])))

    collect(Toy(SPEC), model, batches(5), each=each)
    assert len(seen) == 2


def test_tensors_go_to_the_networks_device():
    class There(Toy):
        def answer(self, model, batch, ctx):
            assert batch["x"].device.type == batch["nested"]["z"][0].device.type == "meta"
            return torch.zeros(len(batch["id"]), 2)

        def target_arrays(self, outputs, batch):
            return {"target": np.zeros(len(batch["id"]), int)}

    assert len(collect(There(SPEC), nn.Linear(3, 2, device="meta"), batches(5))) == 10


def test_what_does_not_fit_is_said(model):
    class Short(Toy):
        def to_tensors(self, outputs, batch):
            return {"probabilities": outputs[:-1].softmax(dim=1)}

    with pytest.raises(DataError, match="4 entries of 'probabilities' for 5 samples"):
        collect(Short(SPEC), model, batches(5))
    assert model.training
    with pytest.raises(DataError, match="no batch"):
        collect(Toy(SPEC), model, [])


def test_lightning_is_not_needed(python):
    code = (
        "import sys\nimport scirs_neural.tasks.collect\n"
        "print({'lightning', 'torchmetrics', 'torchvision'} & set(sys.modules))"
    )
    assert python("-c", code).stdout == "set()\n"
