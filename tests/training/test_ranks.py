"""Rows 75 and 103: two processes are one process with the global batch, in one folder, and none outlives the run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from scirs_neural.evaluation.registry import load_predictions
from tests.training.restarts import SETTINGS, killed, run_of, start, torchrun, trial
from tests.training.tiny import TINY, read_metrics

TWO = ("trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
SHORT = ("data.batch_size=128", "trainer.max_epochs=2", "logger=none", "data.transforms=light")


def compared(python: Any, *kind: str) -> dict[str, Any]:
    done: subprocess.CompletedProcess[str] = python("-m", "tests.training.parallel", *kind)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_equal(found: dict[str, Any]) -> None:
    assert found["ranks"] == 0.0, "the ranks have other weights"
    assert found["loaded"] == 0.0, "the checkpoint is not the network"
    assert found["weights"] <= 1e-6
    assert found["metrics"] <= 1e-6, "samples are counted twice, or lost"


@pytest.mark.feature(75)
def test_ddp_is_one_process_with_the_global_batch(python: Any) -> None:
    assert_equal(compared(python, "ddp"))


@pytest.mark.slow
@pytest.mark.feature(103)
def test_fsdp2_is_one_process_too_and_its_checkpoint_loads_in_one(python: Any) -> None:
    assert_equal(compared(python, "fsdp2"))


@pytest.mark.feature(103)
def test_layers_split_over_two_ranks_are_one_process_too_and_go_on_after_a_break(python: Any) -> None:
    found = compared(python, "tensor", "tensor")
    assert_equal(found)
    halved = {name for name, (here, whole) in found["sizes"].items() if here < whole}
    inner = ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.out_proj", "feed_forward.up")
    assert halved >= {f"blocks.{i}.{name}.weight" for i in (0, 1) for name in inner}
    assert not [name for name in halved if not name.startswith("blocks")]


@pytest.mark.slow
def test_a_plan_that_changes_the_network_is_refused(python: Any) -> None:
    done = python("-m", "tests.training.parallel", "wrong")
    assert done.returncode == 1
    assert "the network computes something else: blocks.0.feed_forward.up colwise" in done.stderr


@pytest.mark.slow
@pytest.mark.feature(103)
def test_layers_and_batches_split_over_four_ranks(python: Any) -> None:
    found = compared(python, "both")
    assert_equal(found)
    here, whole = found["sizes"]["blocks.0.feed_forward.up.weight"]
    assert 4 * here == whole  # half of the layer, and half of that by FSDP2


def living(mark: str) -> list[str]:
    """The commands that still run and inherited a mark, whatever process group or session they are in."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (place / "environ").read_bytes():  # one that has ended shows none
                found.append(f"{place.name} " + (place / "cmdline").read_text().replace("\0", " "))
    return found


class Job:
    """A command with a mark, by which whatever it leaves running can be found."""

    def __init__(self, *command: str, **env: str) -> None:
        self.mark = f"SCIRS_TEST_JOB={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe would wait for whoever else holds it
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=self.said, stderr=self.said, env={**os.environ, **env, name: value}
        )

    def end(self, timeout: float = 240) -> tuple[int, str]:
        """Exit status, and what was said; nothing of it may run on."""
        try:
            status = self.process.wait(timeout)
            grace = time.monotonic() + 5  # to finish dying
            while living(self.mark) and time.monotonic() < grace:
                time.sleep(0.1)
            assert living(self.mark) == []
            self.said.seek(0)
            return status, self.said.read()
        finally:
            self.said.close()
            for left in living(self.mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(left.split()[0]), signal.SIGKILL)


def assert_whole(folder: Path) -> None:
    """One run's folder: every epoch once, every test sample once."""
    assert [row["epoch"] for row in read_metrics(folder / "metrics.csv")] == [0, 1]
    summary = json.loads((folder / "summary.json").read_text())
    saved = load_predictions(folder / "predictions" / "test")
    assert len(saved) == len(set(saved.ids)) == summary["data"]["sizes"]["test"]
    accuracy = (saved.columns["probabilities"].argmax(axis=1) == saved.columns["target"]).mean()
    assert summary["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.slow
@pytest.mark.feature(75)
def test_the_command_leaves_one_folder_and_no_process(tmp_path: Path) -> None:
    status, said = Job("scirs_neural.train", *TINY, *SHORT, *TWO, f"paths.runs={tmp_path}").end()
    assert status == 0, said
    assert [p.name for p in (tmp_path / "digits-cnn").iterdir()] == ["1"]
    assert_whole(tmp_path / "digits-cnn" / "1")
    assert said.count("test accuracy") == 1


@pytest.mark.slow
def test_a_sweep_of_two_ranks_each_leaves_a_folder_each(tmp_path: Path) -> None:
    status, said = Job("scirs_neural.train", "-m", "seed=0,1", *TINY, *SHORT, *TWO, f"paths.runs={tmp_path}").end(400)
    assert status == 0, said
    jobs = sorted((tmp_path / "sweep" / "1").iterdir())
    assert [job.name for job in jobs] == ["0", "1"]
    for job in jobs:
        assert_whole(job)


@pytest.mark.slow
def test_a_sweep_that_is_stopped_leaves_a_checkpoint_and_no_process(tmp_path: Path) -> None:
    settings = (*TINY, *SHORT, *TWO, f"paths.runs={tmp_path}", "trainer.max_epochs=30")
    job = Job("scirs_neural.train", "-m", "seed=0,1", *settings)
    first = tmp_path / "sweep" / "1" / "0"
    while not (first / "metrics.csv").exists():
        assert job.process.poll() is None, job.end()
        time.sleep(0.1)
    job.process.terminate()  # this one only, as a scheduler would
    status, said = job.end(60)
    assert status == 75, said
    assert [folder.name for folder in first.parent.iterdir()] == ["0"]
    assert len(read_metrics(first / "metrics.csv")) < 30
    (command,) = re.findall(r"python -m (scirs_neural.train --from .*)", said)
    status, said = Job(*command.split()).end()
    assert status == 0, said
    assert [row["epoch"] for row in read_metrics(first / "metrics.csv")] == list(range(30))


@pytest.mark.slow
@pytest.mark.feature(103)
def test_torchrun_needs_no_more_settings(tmp_path: Path) -> None:
    status, said = Job(*torchrun(), *TINY, *SHORT, "trainer.accelerator=cpu", f"paths.runs={tmp_path}").end()
    assert status == 0, said
    assert [p.name for p in (tmp_path / "digits-cnn").iterdir()] == ["1"]
    assert_whole(tmp_path / "digits-cnn" / "1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def both(jobs: list[Job]) -> None:
    for job in jobs:
        status, said = job.end()
        assert status == 0, said


@pytest.mark.slow
@pytest.mark.feature(103)
def test_two_agents_of_torchrun_as_on_two_machines(tmp_path: Path) -> None:
    meeting = ("--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}", "--rdzv-id=test")
    agent = ("torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *meeting, "-m", "scirs_neural.train")
    settings = (*TINY, *SHORT, "trainer.accelerator=cpu", f"paths.runs={tmp_path}")
    both([Job(*agent, *settings, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1") for _ in range(2)])
    assert [p.name for p in (tmp_path / "digits-cnn").iterdir()] == ["1"]
    assert_whole(tmp_path / "digits-cnn" / "1")


@pytest.mark.slow
@pytest.mark.feature(103)
def test_processes_that_srun_starts_find_each_other(tmp_path: Path) -> None:
    job = {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "2", "NTASKS_PER_NODE": "2", "NODEID": "0"}
    job |= {"NODELIST": "localhost", "JOB_NODELIST": "localhost"}
    ranks = [{**job, "PROCID": str(rank), "LOCALID": str(rank)} for rank in (0, 1)]
    port = str(free_port())
    both([
        Job(
            "scirs_neural.train", *TINY, *SHORT, *TWO, f"paths.runs={tmp_path}", MASTER_PORT=port,
            **{f"SLURM_{name}": value for name, value in rank.items()},
        )
        for rank in ranks
    ])  # fmt: skip
    assert [p.name for p in (tmp_path / "digits-cnn").iterdir()] == ["1"]
    assert_whole(tmp_path / "digits-cnn" / "1")


@pytest.mark.slow
def test_survivors_of_a_killed_rank_end_soon(tmp_path: Path) -> None:
    job = Job("scirs_neural.train", *TINY, *SHORT, *TWO, f"paths.runs={tmp_path}", *killed(tmp_path))
    while not (tmp_path / "killed").exists():
        assert job.process.poll() is None, job.end()
        time.sleep(0.1)
    began = time.monotonic()
    status, _ = job.end()
    assert status != 0
    assert time.monotonic() - began < 30  # what the row asks for: no rank waits for its dead neighbour


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_goes_on_from_the_last_checkpoint_after_a_rank_was_killed(tmp_path: Path) -> None:
    """One of the cases of ``python -m tests.training.restarts``."""
    unbroken = start(tmp_path, "unbroken", *torchrun(), *SETTINGS)
    assert unbroken.wait(300) == 0, (tmp_path / "unbroken.txt").read_text()
    found = trial(tmp_path, 6, run_of(tmp_path / "unbroken"))
    assert (found["status"], found.get("differs")) == (0, []), found
    assert found["survivor_sec"] < 30  # what the row asks for: no rank waits for its dead neighbour
    assert_whole(run_of(tmp_path / "6" / "runs"))
