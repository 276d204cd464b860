"""What safe saving and loading cost over bare safetensors, on a state of 500 MB.

    python -m benchmarks.save_load [--megabytes 500] [--rounds 6]

Ours and the bare way take turns (A B B A), and each pair gives one ratio; printed are their geometric mean and a 95 %
bootstrap interval, of the time on the clock and of CPU time. Both ways write a temporary file, flush it to the disk,
rename it and flush the folder: the same promise. The file is in the system's cache when it is loaded, which is the
hardest case for checks: the disk hides nothing.

Bare ``load_file`` maps the file and reads nothing: time without work. So every way of loading here ends with a network
of which each value has been read once:

- weights: `read_state_dict` against ``load_file``, both copied into a network that is there;
- package, folder or zip: saved with SHA-256 and CRC-32 of everything; loaded, every bit held to its checksum, as a
  network whose values are then summed, against a new network, ``load_state_dict(load_file(…))``, and the sum. In a row
  of its own against the barest way, ``load_state_dict(load_file(…), assign=True)``: mapped, not copied, not checked;
- checkpoint: `write_checkpoint` and `read_checkpoint`, against bare ``torch.save`` and ``torch.load``: checksummed.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from scirs_neural.guard import read_state_dict, write_state_dict
from scirs_neural.serialization import load_package, save_package
from scirs_neural.serialization.checkpoint import read_checkpoint
from scirs_neural.training.checkpoint_io import write_checkpoint

Way = Callable[[], object]
TENSORS = 25


class Large(nn.Module):
    """A network of so many megabytes, in equal layers."""

    def __init__(self, megabytes: int) -> None:
        super().__init__()
        width = math.isqrt(megabytes * 10**6 // 4 // TENSORS)
        self.layers = nn.ParameterList([nn.Parameter(torch.empty(width, width)) for _ in range(TENSORS)])


def durable(path: Path, write: Callable[[Path], object]) -> None:
    """Write in the way that keeps a promise, by hand: beside, flush, rename, flush the folder."""
    temporary = path.with_suffix(".tmp")
    write(temporary)
    for place in (temporary, None):
        if place is None:
            os.replace(temporary, path)
        handle = os.open(place or path.parent, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def timed(way: Way) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(bare: Way, ours: Way, rounds: int) -> tuple[str, str, str]:
    """Ratios of wall and of CPU time, each with its interval, and the medians of CPU time in milliseconds."""
    ratios: list[tuple[float, float]] = []
    spent: list[tuple[float, float]] = []
    bare(), ours()
    for _ in range(rounds):
        first, ours_1, ours_2, last = timed(bare), timed(ours), timed(ours), timed(bare)
        for b, o in ((first, ours_1), (last, ours_2)):
            ratios.append((o[0] / b[0], o[1] / b[1]))
            spent.append((o[1], b[1]))
    logs = np.log(np.asarray(ratios))
    picks = np.random.default_rng(0).integers(0, len(logs), (2000, len(logs)))
    low, high = np.exp(np.percentile(logs[picks].mean(1), [2.5, 97.5], axis=0))
    mean = np.exp(logs.mean(0))
    wall, cpu = (f"{mean[i]:.2f} ({low[i]:.2f} to {high[i]:.2f})" for i in (0, 1))
    ours_ms, bare_ms = np.median(spent, axis=0) * 1e3
    return wall, cpu, f"{ours_ms:.0f} / {bare_ms:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="", help="rows whose name has these words")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a real disk, not memory")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    model, target = Large(options.megabytes), Large(options.megabytes)
    for held in (*model.parameters(), *target.parameters()):
        nn.init.normal_(held)
    state = dict(model.state_dict())
    bare, ours = folder / "bare.safetensors", folder / "ours.safetensors"
    package, zipped = folder / "package", folder / "package.zip"
    settings = {"model_class": Large, "options": {"megabytes": options.megabytes}}

    def kept(read: Callable[[], dict[str, torch.Tensor]]) -> Way:
        return lambda: target.load_state_dict(read())

    def save_bare() -> None:
        durable(bare, lambda path: save_file(state, path))

    def used(network: nn.Module) -> float:
        with torch.no_grad():
            return sum(float(held.sum()) for held in network.parameters())

    def load_fresh(assign: bool = False) -> float:
        network = Large(options.megabytes)
        network.load_state_dict(load_file(bare), assign=assign)
        return used(network)

    def load_ours(path: Path) -> Way:
        return lambda: used(load_package(path, Large).model)

    load_bare = kept(lambda: load_file(bare))
    rows: list[tuple[str, Way, Way]] = [
        ("save weights", save_bare, lambda: write_state_dict(ours, state)),
        ("load weights", load_bare, kept(lambda: read_state_dict(ours))),
        ("save package, folder", save_bare, lambda: save_package(package, model, **settings)),
        ("save package, zip", save_bare, lambda: save_package(zipped, model, **settings)),
        ("load package, folder", load_fresh, load_ours(package)),
        ("load package, zip", load_fresh, load_ours(zipped)),
        ("load package, zip, against mapped and unchecked", lambda: load_fresh(assign=True), load_ours(zipped)),
        (
            "save checkpoint",
            lambda: durable(folder / "bare.pt", lambda path: torch.save(state, path)),
            lambda: write_checkpoint(state, folder / "ours.ckpt"),
        ),
        (
            "load checkpoint",
            kept(lambda: torch.load(folder / "bare.pt", weights_only=True)),
            kept(lambda: read_checkpoint(folder / "ours.ckpt")),
        ),
    ]
    pairs, threads = 2 * options.rounds, torch.get_num_threads()
    print(f"{options.megabytes} MB, {pairs} pairs, torch {torch.__version__}, {threads} threads")
    print(
        "| what | time, ours over bare (95 %) | CPU time, ours over bare (95 %) | CPU ms, medians |\n|---|---|---|---|"
    )
    try:
        for name, way, our_way in rows:
            if name.startswith("save"):
                way(), our_way()  # what is loaded below
        for name, way, our_way in rows:
            if options.only not in name:
                continue
            wall, cpu, medians = compare(way, our_way, options.rounds)
            print(f"| {name} | {wall} | {cpu} | {medians} |", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
