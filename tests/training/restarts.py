"""Kill a rank under torchrun, again and again: ``python -m tests.training.restarts 10``.

Each trial kills another rank at another step; torchrun starts both anew, and they go on from the last checkpoint.
Prints one JSON object a trial: the exit status, after how many seconds the rank that was not killed had ended, and what
differs from a run that was never broken off (nothing, if all is well). The exit status is the number of bad trials.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.training.killing import differences, left_behind
from tests.training.tiny import TINY

STEPS = 10  # of the whole run: two epochs of five
SETTINGS = (
    *TINY, "data.batch_size=128", "trainer.max_epochs=2", "logger=none", "data.transforms=light",
    "trainer.accelerator=cpu", "trainer.checkpoint.every_n_steps=2", "trainer.resume=auto",
)  # fmt: skip
ONE_PORT_A_LIFE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
KILLER = """
import os, signal
import lightning.pytorch as L

class KillRank(L.Callback):
    def __init__(self, folder, rank=1, step=7):
        self.folder, self.rank, self.step = folder, rank, step

    def on_train_start(self, trainer, module):
        self.is_first_life = not os.path.exists(f"{self.folder}/killed")
        if self.is_first_life:
            with open(f"{self.folder}/rank{trainer.global_rank}", "w") as file:
                file.write(str(os.getpid()))

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if self.is_first_life and (trainer.global_rank, trainer.global_step) == (self.rank, self.step):
            open(f"{self.folder}/killed", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def torchrun(*arguments: str) -> tuple[str, ...]:
    """The start of a command for ``python -m``: two ranks."""
    return ("torch.distributed.run", "--standalone", "--nproc-per-node=2", *arguments, "-m", "scirs_neural.train")


def killed(folder: Path, rank: int = 1, step: int = 7) -> tuple[str, ...]:
    """Settings that kill a rank, once, before a step of a run in a folder."""
    killer = folder / "killer.py"
    killer.write_text(KILLER)
    own = {"folder": folder, "rank": rank, "step": step}
    return (f"callbacks=[{killer}:KillRank]", *(f"callbacks.KillRank.{name}={value}" for name, value in own.items()))


def run_of(runs: Path) -> Path:
    """The only run in a folder of runs."""
    (found,) = (runs / "digits-cnn").iterdir()
    return found


def start(folder: Path, name: str, *command: str) -> subprocess.Popen[bytes]:
    with open(folder / f"{name}.txt", "wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *command, f"paths.runs={folder / name}"], stdout=said, stderr=said,
            start_new_session=True, env={**os.environ, **ONE_PORT_A_LIFE},
        )  # fmt: skip


def is_alive(process_id: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def survived_sec(folder: Path, rank: int, process: subprocess.Popen[bytes]) -> float | None:
    """For how long a rank lived after the other was killed; None if none was."""
    while not (folder / "killed").exists():
        if process.poll() is not None:
            return None
        time.sleep(0.05)
    began, survivor = time.monotonic(), int((folder / f"rank{rank}").read_text())
    while is_alive(survivor):
        time.sleep(0.05)
    return round(time.monotonic() - began, 1)


def trial(place: Path, number: int, unbroken: Path) -> dict[str, Any]:
    """One run with a rank killed."""
    folder, rank, step = place / str(number), number % 2, 1 + number % (STEPS - 1)
    folder.mkdir()
    process = start(folder, "runs", *torchrun("--max-restarts=2"), *SETTINGS, *killed(folder, rank, step))
    found: dict[str, Any] = {"trial": number, "rank": rank, "step": step}
    try:
        found |= {"survivor_sec": survived_sec(folder, 1 - rank, process), "status": process.wait(300)}
        if found["status"] == 0:
            return found | {"differs": list(differences(left_behind(unbroken), left_behind(run_of(folder / "runs"))))}
        return found | {"said": (folder / "runs.txt").read_text()[-2000:]}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def main(trials: int) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if start(place, "unbroken", *torchrun(), *SETTINGS).wait(300):
            raise SystemExit((place / "unbroken.txt").read_text())
        unbroken, bad = run_of(place / "unbroken"), 0
        for number in range(trials):
            found = trial(place, number, unbroken)
            survived = found["survivor_sec"]
            bad += found["status"] != 0 or found["differs"] != [] or survived is None or survived >= 30
            print(json.dumps(found), flush=True)
        print(f"{trials - bad} of {trials}")
        return bad


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
