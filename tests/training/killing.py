"""Kill runs at twelve points, resume them, and hold what they leave against the run that was never broken off.

    python -m tests.training.killing            # all recipes, workers, precisions and points
    python -m tests.training.killing 3 40       # every 40th case from the third on

Every run is a fork of this process, which has torch and Lightning loaded already, so that a case costs about a second.
Prints one JSON object a case: what it was, how the killed run ended, and what differs (nothing, if all is well).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch

from scirs_neural.core.errors import DataError
from scirs_neural.data.batching import BatchKey, BatchSource
from tests.training.recipes import EPOCHS, RECIPES, fit

POINTS = (
    "forward", "backward", "optimizer", "scheduler", "validation", "save", "between batches", "SIGTERM", "SIGKILL",
    "worker exception", "full disk", "last step",
)  # fmt: skip
KILL_EPOCH, KILL_BATCH = 1, 3
ENDINGS = {
    "SIGTERM": (75,), "worker exception": (1,), "full disk": (1,),
    "SIGKILL": (-signal.SIGKILL, 0),  # a timer: at any point, or too late
}  # fmt: skip
SECTIONS = ("state_dict", "optimizer_states", "lr_schedulers", "current_model_state", "averaging_state", "epoch_state")
Case = tuple[str, int, str, str]


def cases() -> list[Case]:
    """Every recipe, number of workers, precision, and point."""
    grid = [
        (name, workers, precision) for name in RECIPES for workers in (0, 2) for precision in ("32-true", "bf16-mixed")
    ]
    return [(*setting, point) for setting in grid for point in POINTS]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Kill(L.Callback):
    """Ends the process at a point of the second epoch."""

    def __init__(self, point: str) -> None:
        self.point, self.armed = point, False

    def on_train_start(self, trainer: Any, module: Any) -> None:
        ends: dict[str, Callable[[], None]] = {
            "forward": lambda: self._hook(module.model.register_forward_hook),
            "SIGTERM": lambda: self._hook(module.model.register_forward_hook, signal.SIGTERM),
            "backward": lambda: self._hook(list(module.model.modules())[-1].register_full_backward_hook),
            "optimizer": lambda: self._hook(trainer.optimizers[0].register_step_post_hook),
            "save": lambda: self._in_os("replace", lambda: die()),
            "full disk": lambda: self._in_os("fsync", self._no_space),
            "worker exception": self._bad_sample,
            "SIGKILL": lambda: threading.Timer(0.15, die).start(),
        }
        if self.point in ends:
            ends[self.point]()
        elif self.point == "scheduler":
            schedule = type(trainer.lr_scheduler_configs[0].scheduler)  # its instances' attributes are saved
            step = schedule.step
            schedule.step = lambda *a, **k: die() if self.armed else step(*a, **k)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        at = min(KILL_BATCH, trainer.num_training_batches // 2)  # a step of several batches counts as one
        self.armed = self.armed or (trainer.current_epoch == KILL_EPOCH and batch_idx == at)

    def on_validation_batch_start(self, trainer: Any, *args: Any) -> None:
        if self.point == "validation" and self.armed:
            die()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.point == "between batches" and self.armed:
            die()
        is_last = batch_idx == trainer.num_training_batches - 1
        if self.point == "last step" and trainer.current_epoch == EPOCHS - 1 and is_last:
            die()

    def _hook(self, register: Callable[[Any], Any], number: int = signal.SIGKILL) -> None:
        def act(*args: Any) -> None:
            if self.armed:
                self.armed = False
                os.kill(os.getpid(), number)

        register(act)

    def _in_os(self, name: str, act: Callable[[], None]) -> None:
        real = getattr(os, name)

        def instead(*args: Any) -> Any:
            if self.armed:
                act()
            return real(*args)

        setattr(os, name, instead)

    @staticmethod
    def _no_space() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    @staticmethod
    def _bad_sample() -> None:
        make = BatchSource._make

        def instead(self: BatchSource, key: BatchKey) -> Any:
            if (key.epoch, key.step) == (KILL_EPOCH, KILL_BATCH):
                raise DataError("a sample that cannot be read")
            return make(self, key)

        BatchSource._make = instead  # type: ignore[method-assign]


def forked(work: Callable[[], None], said: Path, ranks: int = 1) -> int:
    """Do something in children, one a rank, and give how the first one that failed ended: 0, a status, or -signal."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    children = {}
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            _be_a_child(work, said, rank if ranks > 1 else None, port)
        children[child] = rank
    worst = 0
    while children:
        child, status = os.wait()
        if child in children:
            del children[child]
            code = os.waitstatus_to_exitcode(status)
            if code and not worst:
                worst = code
                for other in children:  # what a launcher does
                    os.kill(other, signal.SIGKILL)
    return worst


def _be_a_child(work: Callable[[], None], said: Path, rank: int | None, port: int) -> None:
    status = 1
    try:
        with open(said, "a") as file:
            os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
        if rank is not None:
            os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="localhost", MASTER_PORT=str(port))
        work()
        status = 0
    except BaseException as error:
        import traceback

        from scirs_neural.core.errors import PreemptedError

        traceback.print_exc()
        status = 75 if isinstance(error, PreemptedError) else 1
    finally:
        sys.stderr.flush()
        os._exit(status)


def train(setting: tuple[str, int, str], folder: Path, point: str | None = None) -> int:
    """Run a recipe, killed at a point or not; resumes if there is something to resume."""
    name, workers, precision = setting
    found = (folder / "checkpoints" / "last.ckpt").exists()

    def work() -> None:
        fit(
            name, folder, workers=workers, precision=precision, resume=folder if found else None,
            also=(Kill(point),) if point else (),
        )  # fmt: skip

    folder.mkdir(exist_ok=True)
    return forked(work, folder / "said.txt", RECIPES[name].ranks)


def left_behind(folder: Path) -> dict[str, Any]:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {"metrics.csv": (folder / "metrics.csv").read_bytes(), **{s: state[s] for s in SECTIONS if s in state}}


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where two nests of tensors and plain data are not the same to the bit."""
    if type(one) is not type(other):
        yield f"{where}: {type(one).__name__} and {type(other).__name__}"
    elif isinstance(one, dict):
        for key in one.keys() | other.keys():
            if key in one and key in other:
                yield from differences(one[key], other[key], f"{where}/{key}")
            else:
                yield f"{where}/{key}: only in one"
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            yield f"{where}: {len(one)} and {len(other)} entries"
        for index, (a, b) in enumerate(zip(one, other, strict=False)):
            yield from differences(a, b, f"{where}/{index}")
    elif isinstance(one, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield f"{where}: other numbers"
    elif one != other:
        yield f"{where}: {one!r} and {other!r}"


def run_case(case: Case, unbroken: Path, folder: Path) -> dict[str, Any]:
    """Kill one run, resume it, compare."""
    *setting, point = case
    began = time.perf_counter()
    ended = train(tuple(setting), folder, point)  # type: ignore[arg-type]
    resumed = train(tuple(setting), folder)  # type: ignore[arg-type]
    differ = list(differences(left_behind(unbroken), left_behind(folder))) if resumed == 0 else ["did not end"]
    if ended not in ENDINGS.get(point, (-signal.SIGKILL,)):
        differ.append(f"ended with {ended}")
    said = "" if not differ else (folder / "said.txt").read_text()[-2000:]
    return {
        "case": case,
        "ended": ended,
        "differ": differ[:5],
        "sec": round(time.perf_counter() - began, 2),
        "said": said,
    }


def run_cases(chosen: list[Case]) -> Iterator[dict[str, Any]]:
    """Each case's outcome. The unbroken run of a setting is made once."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        fit("cnn", Path(place) / "warm", workers=0, precision="32-true")  # what is loaded late is loaded once
        unbroken: dict[tuple[str, int, str], Path] = {}
        for number, case in enumerate(chosen):
            setting = case[:3]
            if setting not in unbroken:
                unbroken[setting] = Path(place) / f"unbroken{number}"
                status = train(setting, unbroken[setting])
                if status:
                    raise RuntimeError(f"{setting}: {(unbroken[setting] / 'said.txt').read_text()}")
            folder = Path(place) / f"broken{number}"
            yield run_case(case, unbroken[setting], folder)
            shutil.rmtree(folder)


def main(start: int = 0, stride: int = 1) -> int:
    wrong = 0
    for outcome in run_cases(cases()[start::stride]):
        print(json.dumps(outcome), flush=True)
        wrong += bool(outcome["differ"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
