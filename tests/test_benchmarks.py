"""The benchmarks that need other machines run here too, small, so that they work when such a machine is at hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks import code_lines, cpu_settings, gpu, overhead, predict_pool, scaling, tuning


def test_the_gpu_benchmark_trains_both_to_the_same_bits(tmp_path, capsys):
    rows = gpu.main(["--tiny", "--json", str(tmp_path / "found.json")])
    assert [row["network"] for row in rows] == ["resnet18", "vit_small", "gpt_small"]
    for row in rows:
        assert row["same_weights"]  # our Trainer and the loop by hand: bfloat16, fused AdamW, the same batches
        assert math.isfinite(row["hand_over_ours"])
        assert row["interval"][0] <= row["hand_over_ours"] <= row["interval"][1]
        ours, hand = (row["launched"][who]["operators"] for who in ("ours", "hand"))
        assert 0 <= ours - hand <= 5, "a step like any other: what waits to be logged is not added up in it"
    kept = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["hand_over_ours"] for row in kept] == [row["hand_over_ours"] for row in rows]
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
    assert "goal 1.2" in capsys.readouterr().out


def test_the_ways_to_share_the_cores_give_the_same_answers():
    rates = predict_pool.main(["--items", "30", "--rounds", "1"])
    assert len(rates) == 6
    assert min(rates.values()) > 0


def test_settings_of_speed_are_measured_in_turns(capsys):
    table = cpu_settings.main(["--rounds", "1", "--batch-size", "2"])
    assert [len(rows) for rows in table.values()] == [4, 3]
    for rows in table.values():
        assert next(iter(rows.values())) == (1, 1, 1)
        assert all(0 < low <= ratio <= high for ratio, low, high in rows.values())
    assert "BatchNorm folded" in capsys.readouterr().out


def test_both_samplers_begin_with_the_same_trials(capsys):
    best = tuning.main(["--seeds", "1", "--trials", "2"])
    assert best["tpe"] == best["random"]
    assert "tpe over random: +0.0000" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_tpe_beats_random_search_at_equal_budget():
    best = tuning.main([])
    assert np.mean(best["tpe"]) > np.mean(best["random"])
    assert np.median(best["tpe"]) > np.median(best["random"])


def test_the_model_of_scaling_predicts_published_rows_to_a_tenth(capsys):
    held = [row for row in scaling.rows() if row.measured.role == "predicted"]
    assert len(held) >= 60
    assert max(abs(row.error) for row in held) <= 0.1
    assert sum(abs(row.perfect_error) > 0.1 for row in held) >= 10, "perfect scaling would do as well"
    fits = [row.measured.machine for row in scaling.rows() if row.measured.role.startswith("fit")]
    assert len(fits) == len(set(fits)), "more than one number fitted for a machine"
    scaling.main([])
    assert f"predicted rows within 10 %: {len(held)} of {len(held)}" in capsys.readouterr().out


def test_the_model_of_scaling_answers_for_a_network_of_the_users(capsys):
    scaling.main(["--params", "25.6e6", "--batch", "256", "--throughput", "2470", "--gpus", "1,8,64"])
    lines = capsys.readouterr().out.splitlines()[1:]
    shares = [float(line.split()[-1].rstrip("%")) for line in lines]
    assert shares[0] == 100
    assert shares == sorted(shares, reverse=True)


def test_an_exchange_takes_what_a_ring_takes():
    machine, job = scaling.Machine(8, 300e9, 10e9), scaling.Job(1e9, 1, 1, method="late")
    two_nodes = scaling.step_sec(job, machine, 16) - 1
    assert two_nodes == pytest.approx(2 * 15 / 16 * 4e9 / (0.9 * 10e9))
    hidden = scaling.step_sec(scaling.Job(1e9, 1, 0.1), machine, 16) - 10
    assert hidden == pytest.approx(two_nodes * 25e6 / 4e9), "all but the last bucket goes on behind the backward pass"


def test_code_lines_are_counted_by_package(capsys):
    code_lines.main([])
    rows = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows["all"] == sum(count for name, count in rows.items() if name != "all" and "+" not in name)
    assert code_lines.code_lines('"""A page."""\n\n# why\nx = """a\nb"""\n') == 2
    assert list(code_lines.by_package([("scirs_neural/api.py", "x = 1"), ("scirs_neural/core/a/b.py", "y = 2")])) == [
        "commands", "core",
    ]  # fmt: skip
