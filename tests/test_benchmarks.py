"""The benchmarks that need other machines run here too, small, so that they work when such a machine is at hand."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks import gpu, overhead


def test_the_gpu_benchmark_trains_both_to_the_same_bits(tmp_path, capsys):
    [row] = gpu.main(["--tiny", "--only", "gpt_small", "--json", str(tmp_path / "found.json")])
    assert row["same_weights"]  # our Trainer and the loop by hand: bfloat16, fused AdamW, the same batches
    assert math.isfinite(row["hand_over_ours"])
    assert row["interval"][0] <= row["hand_over_ours"] <= row["interval"][1]
    assert set(row["launched"]) == {"ours", "hand"}
    assert json.loads((tmp_path / "found.json").read_text())["rows"][0]["network"] == "gpt_small"
    assert "hand/ours" in capsys.readouterr().out


def test_it_says_that_it_needs_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--tiny runs anywhere" in capsys.readouterr().err


def test_the_overhead_benchmark_lets_all_take_turns(capsys):
    rows = overhead.main(["--only", "mlp", "--rounds", "2", "--steps", "20"])
    assert {"by hand", "ours", "plain Lightning", "Fabric"} <= {row["who"] for row in rows}
    assert all(0 < row["low"] <= row["ratio"] <= row["high"] < math.inf for row in rows)
    assert next(row for row in rows if row["who"] == "by hand")["ratio"] == 1
    assert "goal 1.25" in capsys.readouterr().out
