"""Variants of one model are measured side by side, against what is known of them."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from scirs_neural.core import terminal
from scirs_neural.core.errors import ConfigError
from scirs_neural.interop.measure import measure, table_of

SAMPLES = [torch.randn(64, 100, generator=torch.Generator().manual_seed(0)) for _ in range(3)]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 10)).eval()


def test_a_model_against_itself() -> None:
    net, ticks = network(), itertools.count()  # a clock of ticks: equal calls take equal time
    same, again = measure({"a": net, "b": net}, SAMPLES, reference="a", rounds=60, clock=lambda: float(next(ticks)))
    for one in (same, again):
        assert (one.max_difference, one.relative_difference, one.label_agreement) == (0.0, 0.0, 1.0)
        assert one.size_bytes == 4 * (100 * 200 + 200 + 200 * 10 + 10)
    assert same.latency_ratio == (1.0, 1.0, 1.0)
    assert again.latency_ratio == (1.0, 1.0, 1.0)


def test_a_variant_that_computes_eight_times_as_much() -> None:
    weight = torch.randn(400, 400)

    def product(times: int) -> Any:
        def run(x: Tensor) -> Tensor:
            for _ in range(times):
                y = x @ weight
            return y

        return run

    x = torch.randn(200, 400)
    _, slow = measure(
        {"one": product(1), "eight": product(8)}, [x], reference="one", rounds=40, clock=time.process_time
    )
    assert 6 < slow.latency_ratio[0] < 10
    assert slow.latency_ratio[1] > 4
    assert (slow.max_difference, slow.size_bytes) == (0.0, None)


def test_differences_and_labels_are_those_of_numpy() -> None:
    net = network()

    def rounded(x: Tensor) -> np.ndarray:
        return net(x).numpy().astype("float16")

    _, other = measure({"net": net, "rounded": rounded}, SAMPLES, reference="net", rounds=2, sizes={"rounded": 7})
    with torch.no_grad():
        exact = np.concatenate([net(x).double().numpy() for x in SAMPLES])
    half = exact.astype("float32").astype("float16").astype("float64")
    assert other.max_difference == pytest.approx(np.abs(half - exact).max(), rel=1e-12)
    assert other.relative_difference == pytest.approx(np.abs(half - exact).max() / np.abs(exact).max(), rel=1e-12)
    assert other.label_agreement == pytest.approx((half.argmax(1) == exact.argmax(1)).mean())
    assert other.size_bytes == 7


def test_peak_memory_is_what_the_tensors_take() -> None:
    net = network()
    (one,) = measure({"net": net}, SAMPLES, reference="net", rounds=1)
    hidden, relu, output = 64 * 200 * 4, 64 * 200 * 4, 64 * 10 * 4
    assert one.peak_memory_bytes == hidden + max(relu, output)


def test_other_outputs() -> None:
    net, nan = network(), torch.tensor([float("nan"), 1.0])
    variants = {
        "net": net, "shape": lambda x: net(x)[:, :3], "nan": lambda x: net(x) * float("nan"),
        "pair": lambda x: (net(x), {"more": net(x)}),
    }  # fmt: skip
    same, shape, broken, pair = measure(variants, SAMPLES, reference="net", rounds=1)
    assert [one.max_difference for one in (same, shape, broken, pair)] == [0.0, *[float("inf")] * 3]
    (lone,) = measure({"nan": lambda x: nan}, SAMPLES, reference="nan", rounds=1)
    assert (lone.max_difference, lone.label_agreement, lone.peak_memory_bytes) == (0.0, None, None)


def test_the_score_is_the_callers_and_the_table_shows_it(tmp_path: Path) -> None:
    net = network()
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "a.bin").write_bytes(bytes(1500))

    def score(outputs: list[Tensor]) -> dict[str, tuple[float, float, float]]:
        value = float(torch.cat(outputs).argmax(1).eq(3).double().mean())
        return {"accuracy": (value, 0.0, 1.0)}

    rows = measure(
        {"net": net, "fn": lambda x: net(x)}, SAMPLES, reference="net", score=score, rounds=3,
        sizes={"fn": tmp_path / "graph"},
    )  # fmt: skip
    with torch.no_grad():
        assert rows[0].score["accuracy"][0] == score([net(x) for x in SAMPLES])["accuracy"][0]
    assert rows[1].size_bytes == 1500
    json.dumps([asdict(row) for row in rows], allow_nan=False)
    heads, texts = table_of(rows)
    assert heads[:3] == ["variant", "accuracy", "same label"]
    assert all(len(row) == len(heads) for row in texts)
    console = Console(record=True, width=200)
    terminal.table(console, heads, texts)
    assert "100.00 %" in console.export_text()


def test_faults_are_named() -> None:
    net = network()
    with pytest.raises(ConfigError, match="no variant is called 'nett'"):
        measure({"net": net}, SAMPLES, reference="nett")
    with pytest.raises(ConfigError, match="no samples"):
        measure({"net": net}, [], reference="net")
    with pytest.raises(ConfigError, match="'net' is in training mode"):
        measure({"net": net.train()}, SAMPLES, reference="net")
