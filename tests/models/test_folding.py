"""Row 100: folded networks give the same outputs with fewer modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import scirs_neural as sn
from scirs_neural import evaluate
from scirs_neural.api import Run
from scirs_neural.core.command import run_command
from scirs_neural.models.folding import fold_batchnorm
from scirs_neural.runs.train import train_run
from tests.training.tiny import tiny_config


def used(network: nn.Module) -> None:
    """Give BatchNorm statistics and weights that are not those of a new one."""
    for part in network.modules():
        if isinstance(part, _BatchNorm):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)


def norms(network: nn.Module) -> int:
    return sum(isinstance(part, _BatchNorm) for part in network.modules())


@pytest.mark.feature(100)
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_folded_network_of_the_zoo(name: str) -> None:
    network = sn.create_model(name, num_classes=10, seed=0).eval()
    used(network)
    folded, gone = fold_batchnorm(network)
    assert gone == norms(network) > 0 == norms(folded)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        scale = expected.abs().max()
        torch.testing.assert_close(folded(images) / scale, expected / scale, rtol=0, atol=1e-4)
    count = lambda net: sum(1 for m in net.modules() if not isinstance(m, nn.Identity))  # noqa: E731
    assert count(folded) < count(network)


def test_linear_layers_too() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3)).eval()
    used(network)
    folded, gone = fold_batchnorm(network)
    x = torch.randn(4, 5)
    assert gone == 1
    torch.testing.assert_close(folded(x), network(x), rtol=0, atol=1e-5)


class Shared(nn.Module):
    """A convolution whose output is used twice, and one that is called twice."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.conv, self.norm = kind, nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "values" and x.sum() > 0:
            return x
        y = self.conv(x)
        out: Tensor = self.norm(y) + (y if self.kind == "output" else self.norm(x))
        return out


@pytest.mark.parametrize("kind", ["output", "module", "values"])
def test_what_cannot_be_folded_stays(kind: str) -> None:
    network: Any = Shared(kind).eval()
    used(network)
    folded, gone = fold_batchnorm(network)
    assert gone == 0
    x = torch.randn(2, 1, 5, 5)
    assert torch.equal(folded(x), network(x))


def test_a_run_is_judged_the_same_with_its_batchnorm_folded(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "trainer.max_epochs=2", "logger=none")
    folder = train_run(config, console=Console(quiet=True)).folder
    plain, folded = Run(folder), Run(folder)
    assert folded.fold_batchnorm() == norms(plain.model) > 0
    one, other = plain.evaluate("test"), folded.evaluate("test")
    assert one.metrics.keys() == other.metrics.keys()
    for name, score in one.metrics.items():
        assert score.value == pytest.approx(other.metrics[name].value, abs=1e-4), name
    assert run_command(evaluate.main, [str(folder.path), "--fold"]) == 0
