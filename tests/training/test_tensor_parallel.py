"""Which layers tensor parallelism splits, and what it refuses. That it is one process too is in test_ranks.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import vit_b_16

import scirs_neural as sn
from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.layers.attention import SelfAttention
from scirs_neural.layers.feed_forward import FeedForward
from scirs_neural.training.distributed.tensor_parallel import _agree, by_mesh, plan_of


def plan(network: nn.Module, size: int = 2, **settings: Any) -> dict[str, str]:
    return plan_of(network, TrainerConfig(tensor_parallel=size, **settings))


def test_known_blocks_are_split_in_pairs() -> None:
    assert plan(FeedForward(4, 8)) == {"up": "colwise", "down": "rowwise"}
    net = nn.Sequential(SelfAttention(8, 2), FeedForward(8))
    assert plan(net) == {
        "0.q_proj": "colwise", "0.k_proj": "colwise", "0.v_proj": "colwise", "0.out_proj": "rowwise",
        "1.up": "colwise", "1.down": "rowwise",
    }  # fmt: skip
    assert plan(nn.TransformerEncoderLayer(4, 1)) == {"linear1": "colwise", "linear2": "rowwise"}
    with torch.device("meta"):
        network = vit_b_16()
    assert plan(network)["encoder.layers.encoder_layer_11.mlp.3"] == "rowwise"
    assert len(plan(network)) == 24


def test_what_devices_cannot_share_stays_whole() -> None:
    net = nn.Sequential(SelfAttention(12, 3), FeedForward(12), FeedForward(12, activation="swiglu"))
    assert plan(net) == {"1.up": "colwise", "1.down": "rowwise"}  # three heads; gates whose halves would part
    with pytest.raises(ConfigError, match="no layer of this network is known") as caught:
        plan(nn.Sequential(SelfAttention(12, 3), nn.Linear(12, 2)))
    assert "tensor_parallel_colwise" in str(caught.value)


def test_a_plan_of_the_user_s() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    named = {"tensor_parallel_colwise": ["0"], "tensor_parallel_rowwise": ["2"]}
    assert plan(net, **named) == {"0": "colwise", "2": "rowwise"}
    with pytest.raises(ConfigError, match="'0' has 6 outputs, which 4 devices cannot share"):
        plan(net, 4, **named)
    with pytest.raises(ConfigError, match="'1' is no linear layer but ReLU"):
        plan(net, tensor_parallel_colwise=["1"])
    with pytest.raises(ConfigError, match="no module of the network is called 'x'"):
        plan(net, tensor_parallel_rowwise=["x"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tensor_parallel": 2, "devices": 3}, "does not divide 3 devices"),
        ({"tensor_parallel": 2, "devices": 2, "strategy": "ddp"}, "does not go with trainer.strategy=ddp"),
        ({"tensor_parallel": 2, "devices": 2, "compile": True}, "untried"),
        ({"tensor_parallel_colwise": ["0"]}, "say nothing without devices"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sn.Trainer(accelerator="cpu", **settings)


def test_a_wrong_plan_is_told_from_rounding() -> None:
    output = torch.randn(4, 10)
    assert _agree(output, output + 1e-6)
    assert not _agree(output, output[:, :5])
    assert not _agree(output, output.roll(1, dims=1))


def test_tensors_are_sorted_by_where_they_lie() -> None:
    one, other = torch.zeros(1), torch.ones(1)
    assert by_mesh([one, other]) == [[one, other]]
