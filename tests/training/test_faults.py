"""What goes wrong on the way: too little memory, dead workers, a request to stop, a run taken up again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import OutOfMemoryError, PreemptedError, WorkerError
from scirs_neural.data.loader import _from_living_workers
from scirs_neural.runs.folder import RunFolder
from tests.training.tiny import TINY, module_of, read_metrics, tiny_config

QUIET = Console(quiet=True)


class Hungry(nn.Module):
    """A network that has memory for so many samples at a time."""

    def __init__(self, room: int, *, in_backward: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 10))
        self.room, self.in_backward, self.sizes = room, in_backward, [0]

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        out: Tensor = self.body(images)
        if self.training and len(images) > self.room and images.device.type != "meta":
            if not self.in_backward:
                raise torch.OutOfMemoryError("CUDA out of memory (a test's)")
            if out.requires_grad:
                out.register_hook(self._fail)
        return out

    @staticmethod
    def _fail(gradient: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory (a test's)")


def fit_hungry(room: int, *, in_backward: bool = False, **settings: Any) -> tuple[Hungry, sn.Trainer]:
    torch.manual_seed(0)
    network = Hungry(room, in_backward=in_backward)
    data = sn.create_data("digits", image_size=8, batch_size=48)
    options = {"optimizer": {"name": "sgd", "lr": 0.1}, "scheduler": "constant"}
    task = module_of(network, data, **options)
    trainer = sn.Trainer(max_epochs=1, limit_train_batches=4, limit_val_batches=1, console=QUIET, **settings)
    trainer.fit(task, data)
    return network, trainer


@pytest.mark.feature(104)
@pytest.mark.parametrize("in_backward", [False, True])
def test_too_little_memory_halves_the_batch_and_keeps_the_gradient(in_backward: bool) -> None:
    whole, first = fit_hungry(64)
    split, second = fit_hungry(12, in_backward=in_backward)
    assert max(split.sizes[-10:]) == 48  # validation has no gradients to keep
    assert split.sizes.count(12) == 16
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert second.metrics.rows[0]["train/loss"] == pytest.approx(first.metrics.rows[0]["train/loss"], abs=1e-6)
    assert [text for text in second.warned if "computed in 4 parts, with the same gradient" in text]


def test_a_sample_that_does_not_fit_alone_ends_the_run() -> None:
    with pytest.raises(OutOfMemoryError, match="one sample alone"):
        fit_hungry(0)
    with pytest.raises(torch.OutOfMemoryError):
        fit_hungry(12, on_out_of_memory="raise")


def test_a_worker_that_is_killed_is_named() -> None:
    class KillWorker(L.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            import multiprocessing

            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGKILL)  # type: ignore[arg-type]

    data = sn.create_data("digits", image_size=8, batch_size=16, num_workers=1)
    task = module_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), data)
    trainer = sn.Trainer(max_epochs=1, console=QUIET, callbacks=[KillWorker()])
    with pytest.raises(WorkerError, match="a loader process died") as caught:
        trainer.fit(task, data)
    assert "num_workers" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), WorkerError),
        (ConnectionResetError(104, "Connection reset by peer"), WorkerError),
        (EOFError(), WorkerError),
        (RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback …"), RuntimeError),
    ],
)
def test_a_death_is_told_from_an_error_of_the_data(raised: Exception, seen: type[Exception]) -> None:
    def batches() -> Any:
        yield 1
        raise raised

    with pytest.raises(seen) as caught:
        list(_from_living_workers(batches(), num_workers=2))
    assert type(caught.value) is seen
    with pytest.raises(type(raised)):
        list(_from_living_workers(batches(), num_workers=0))


class StopAt(L.Callback):
    """Sends a signal to this process in the middle of a step."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        self.step, self.number = step, number

    def on_before_optimizer_step(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


AUTO = ("trainer.max_epochs=2", "data.batch_size=256", "trainer.resume=auto", "logger=none")


@pytest.mark.parametrize(("number", "error"), [(signal.SIGUSR1, PreemptedError), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_ends_the_step_and_keeps_a_checkpoint(
    tmp_path: Path, train: Any, number: int, error: type[BaseException]
) -> None:
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(error):
        train(*AUTO, callbacks=[StopAt(3, number)])
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == handlers
    broken = tmp_path / "runs" / "digits-cnn" / "1"
    assert torch.load(broken / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4


@pytest.mark.slow
def test_auto_goes_on_with_the_unfinished_run_of_the_same_settings(tmp_path: Path, train: Any) -> None:
    with pytest.raises(PreemptedError):
        train(*AUTO, callbacks=[StopAt(3)])
    broken = tmp_path / "runs" / "digits-cnn" / "1"
    assert train(*AUTO, "optimizer.lr=0.5", "trainer.limit_train_batches=1").folder.path.name == "2"
    assert train(*AUTO).folder.path == broken
    assert [row["epoch"] for row in read_metrics(broken / "metrics.csv")] == [0, 1]
    assert train(*AUTO).folder.path.name == "3"  # nothing is left to go on with


def test_a_run_that_a_process_is_working_on_is_left_alone(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "runs")
    run = RunFolder(tmp_path / "runs" / "digits-cnn" / "1")
    run.path.mkdir(parents=True)
    run.begin(config)
    run.last.parent.mkdir()
    run.last.touch()
    assert RunFolder.unfinished(run.path.parent, config) == run
    other = RunFolder(run.path.parent / "2")
    shutil.copytree(run.path, other.path)
    code = "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX)"
    code += "; print('mine', flush=True); input()"
    command = [sys.executable, "-c", code, str(other.path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        assert RunFolder.unfinished(run.path.parent, config) == run
        holder.communicate("\n")
    assert RunFolder.unfinished(run.path.parent, config) == other


def test_a_run_that_was_asked_to_stop_ends_with_75() -> None:
    def stopped(argv: list[str]) -> None:
        raise PreemptedError("stopped by SIGTERM")

    assert run_command(stopped, []) == 75


@pytest.mark.slow
def test_sigterm_ends_the_command_with_75(tmp_path: Path) -> None:
    """Row 72's other half: the command line."""
    stop = tmp_path / "stop.py"
    stop.write_text("from tests.training.test_faults import StopAt\n")
    command = [sys.executable, "-m", "scirs_neural.train", *TINY, f"paths.runs={tmp_path}", "data.batch_size=256"]
    command += [f"callbacks=[{stop}:StopAt]", "callbacks.StopAt.step=2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 75, ended.stderr
    assert "trainer.resume=auto" in ended.stderr
    assert "Traceback" not in ended.stderr
