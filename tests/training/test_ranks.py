"""Rows 75 and 103: two processes are one process with the global batch, in one folder, and none outlives the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scirs_neural.training.metrics_file import read_metrics
from tests.training.killing import differences, left_behind
from tests.training.tiny import TINY

TWO = ("trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
SHORT = ("data.batch_size=128", "trainer.max_epochs=2", "logger.tensorboard=false", "data.transforms=light")
KILLER = """
import os, signal
import lightning.pytorch as L

class KillRank(L.Callback):
    def __init__(self, marker):
        self.marker = marker

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_rank == 1 and trainer.global_step == 7 and not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
"""


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
    found = compared(python, "tensor", "broken")
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


def living(group: int) -> list[str]:
    """The commands of a process group that still run. One that has ended, and that nobody has asked how, does not."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, its_group = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append((place / "cmdline").read_text().replace("\0", " "))
    return found


class Job:
    """A command in a session of its own, so that whatever it leaves running can be found."""

    def __init__(self, *command: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**os.environ, **env},
        )  # fmt: skip

    def end(self, timeout: float = 240) -> tuple[int, str]:
        """Exit status, and what was said; nothing of it may run on."""
        try:
            out, err = self.process.communicate(timeout=timeout)
            said = f"{out}\n{err}"
            assert living(self.process.pid) == []
            return self.process.returncode, said
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def assert_whole(folder: Path) -> None:
    """One run's folder: every epoch once, every test sample once."""
    assert [row["epoch"] for row in read_metrics(folder / "metrics.csv")] == [0, 1]
    summary = json.loads((folder / "summary.json").read_text())
    with np.load(folder / "predictions" / "test.npz") as saved:
        assert len(saved["ids"]) == len(set(saved["ids"])) == summary["data"]["sizes"]["test"]
        accuracy = (saved["probabilities"].argmax(axis=1) == saved["targets"]).mean()
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


def torchrun(*arguments: str) -> tuple[str, ...]:
    return ("torch.distributed.run", "--standalone", "--nproc-per-node=2", *arguments, "-m", "scirs_neural.train")


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
    killer, marker = tmp_path / "killer.py", tmp_path / "killed"
    killer.write_text(KILLER)
    job = Job(
        "scirs_neural.train", *TINY, *SHORT, *TWO, f"paths.runs={tmp_path}", f"callbacks=[{killer}:KillRank]",
        f"callbacks.KillRank.marker={marker}",
    )  # fmt: skip
    while not marker.exists():
        assert job.process.poll() is None, job.end()
        time.sleep(0.1)
    began = time.monotonic()
    status, _ = job.end()
    assert status != 0
    assert time.monotonic() - began < 30  # what the row asks for: no rank waits for its dead neighbour


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_goes_on_from_the_last_checkpoint_after_a_rank_was_killed(tmp_path: Path) -> None:
    killer, marker = tmp_path / "killer.py", tmp_path / "killed"
    killer.write_text(KILLER)
    common = (*TINY, *SHORT, "trainer.accelerator=cpu", "trainer.checkpoint.every_n_steps=2", "trainer.resume=auto")
    own = (f"callbacks=[{killer}:KillRank]", f"callbacks.KillRank.marker={marker}", f"paths.runs={tmp_path / 'runs'}")
    one_port_a_life = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    status, said = Job(*torchrun("--max-restarts=2"), *common, *own, **one_port_a_life).end(300)
    assert status == 0, said
    assert marker.exists()
    folder = tmp_path / "runs" / "digits-cnn" / "1"
    assert [p.name for p in folder.parent.iterdir()] == ["1"]
    assert_whole(folder)
    status, said = Job(*torchrun(), *common, f"paths.runs={tmp_path / 'unbroken'}").end()
    assert status == 0, said
    assert list(differences(left_behind(tmp_path / "unbroken" / "digits-cnn" / "1"), left_behind(folder))) == []
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
