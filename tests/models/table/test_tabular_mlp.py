"""Embedded categories: the same network as one-hot columns with a matrix, and it learns from a category alone."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.data import from_table
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.models import create_model

FRAME = pd.DataFrame({"colour": ["red", "blue", "white", "red"] * 10, "x": range(10, 50), "y": list("abba") * 10})


@pytest.fixture(scope="module")
def data():
    return from_table(FRAME, "y", columns={"x": "number"}, categories="embed", val_fraction=0.0)


def arguments(data):
    pipeline = Pipeline(data.spec)
    return pipeline.inputs["row"].model_arguments() | pipeline.targets["target"].model_arguments()


def test_an_embedding_is_a_matrix_on_one_hot_columns(data):
    net = create_model("tabular_mlp", **arguments(data), hidden=[], seed=0)
    batch = next(iter(data.eval_dataloader("train")))["row"]
    codes = batch[:, 0].long()
    one_hot = torch.nn.functional.one_hot(codes, 4)[:, 1:].float()
    vectors = one_hot @ net.embeddings[0].weight[1:]
    wanted = torch.cat([batch[:, 1:], vectors], 1) @ net.body.head.weight.T + net.body.head.bias
    torch.testing.assert_close(net(batch), wanted)


def test_it_learns_what_the_category_tells(data):
    net = create_model("tabular_mlp", **arguments(data), hidden=[], seed=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    batch = next(iter(data.eval_dataloader("train")))
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(net(batch["row"]), batch["target"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (net(batch["row"]).argmax(1) == batch["target"]).all()
    assert not net.embeddings[0].weight[0].any()  # unknown: zeros, and stays so


def test_networks_that_cannot_embed_say_so(data):
    with pytest.raises(ConfigError, match="category_sizes"):
        create_model("mlp", **arguments(data))
    with pytest.raises(ShapeError, match="do not fit"):
        create_model("tabular_mlp", in_channels=2, category_sizes=[[2, 3]])
    net = create_model("tabular_mlp", in_channels=2, category_sizes=[[1, 300]])
    with pytest.raises(ShapeError, match="cannot count 300"):
        net.bfloat16()(torch.zeros(1, 2, dtype=torch.bfloat16))
