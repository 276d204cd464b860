"""Kills writers at any moment and reads what they left: ``python tests/guard/crash_server.py WRITER,… KILLS FOLDER``.

A fork saves one state after the other to the same path, each with a number in every tensor and beside them, and says
when a save has ended. It is killed (SIGKILL) at a moment drawn evenly over the time of a save. Then the path must hold
one complete state, verified, not older than the last that was said to be saved. Prints one line of JSON
a writer.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_TIMED_EVERY = 25
Save = Callable[[Path, int], Any]
Load = Callable[[Path], int]


class Wide(torch.nn.Linear):
    """A network that is soon described, so that most of the time of a save is writing: 4 MB."""

    def __init__(self) -> None:
        super().__init__(1000, 1000)


def checkpoint() -> tuple[str, Save, Load]:
    """A training checkpoint."""
    from scirs_neural.training.checkpoint_io import read_checkpoint, write_checkpoint

    def save(path: Path, number: int) -> None:
        state = {f"layer{i}": torch.full((64, 64), float(number)) for i in range(8)}
        write_checkpoint({"state_dict": state, "epoch": number}, path)

    def load(path: Path) -> int:
        held = read_checkpoint(path)
        values = {float(value) for tensor in held["state_dict"].values() for value in tensor.unique()}
        assert values == {float(held["epoch"])}, values
        return int(held["epoch"])

    return "last.ckpt", save, load


def package(name: str) -> tuple[str, Save, Load]:
    """A package, as a folder or a zip."""
    from scirs_neural.serialization import load_package, save_package

    model = Wide()

    def save(path: Path, number: int) -> None:
        for held in model.parameters():
            torch.nn.init.constant_(held, float(number))
        save_package(path, model, metrics={"test": {"number": float(number)}})

    def load(path: Path) -> int:
        found = load_package(path, Wide)
        values = {float(value) for held in found.model.parameters() for value in held.detach().unique()}
        assert values == {found.metrics["test"]["number"]}, values
        return int(found.metrics["test"]["number"])

    return name, save, load


def weights() -> tuple[str, Save, Load]:
    """A file of weights alone."""
    from scirs_neural.guard import read_metadata, read_state_dict, write_state_dict

    def save(path: Path, number: int) -> None:
        write_state_dict(path, {"a": torch.full((9000,), float(number))}, {"number": str(number)})

    def load(path: Path) -> int:
        values = {float(value) for value in read_state_dict(path)["a"].unique()}
        number = int(read_metadata(path)["number"])
        assert values == {float(number)}, values
        return number

    return "net.safetensors", save, load


WRITERS: dict[str, Callable[[], tuple[str, Save, Load]]] = {
    "checkpoint": checkpoint, "weights": weights, "folder": lambda: package("net"), "zip": lambda: package("net.zip"),
}  # fmt: skip


def killed_after(delay: float, save: Save, path: Path, first: int) -> int:
    """Let a fork save from a number on, kill it after a time; gives the last number that it said was saved."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        os.write(write, b"begin\n")
        number = first
        while True:
            save(path, number)
            os.write(write, f"{number}\n".encode())
            number += 1
    os.close(write)
    with os.fdopen(read) as pipe:
        pipe.readline()
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = [int(line) for line in pipe.read().split()]
    return said[-1] if said else first - 1


def tried(name: str, kills: int, root: Path) -> dict[str, Any]:
    """Kill one writer as often as is asked, and say how often the path held a complete state."""
    file, save, load = WRITERS[name]()
    root.mkdir(parents=True, exist_ok=True)
    path = root / file
    save(path, 1)
    chance, number = random.Random(name), 1
    complete, within, faults = 0, 0, []
    one_save = 0.0
    for turn in range(kills):
        if turn % _TIMED_EVERY == 0:  # a machine's load changes
            start = time.perf_counter()
            save(path, number := number + 1)
            one_save = time.perf_counter() - start
        saved = killed_after(chance.uniform(0, 1.5 * one_save), save, path, number + 1)
        within += any(one.name.endswith(".tmp") for one in root.iterdir())
        try:
            found = load(path)
            if not max(number, saved) <= found <= saved + 1:
                raise AssertionError(f"found {found}, saved {saved}")
            complete, number = complete + 1, found
        except Exception as error:
            faults.append(repr(error)[:300])
        for left in root.iterdir():  # so that the next kill is counted by itself
            if left.name.endswith(".tmp"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return {"writer": name, "kills": kills, "complete": complete, "within_a_save": within, "faults": faults[:5]}


def main() -> None:
    """Try every writer that is named."""
    warnings.simplefilter("ignore")
    for name in sys.argv[1].split(","):
        print(json.dumps(tried(name, int(sys.argv[2]), Path(sys.argv[3], name))), flush=True)


if __name__ == "__main__":
    main()
