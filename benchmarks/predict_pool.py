"""Ten thousand pictures through a network: reading threads beside computing threads.

    python -m benchmarks.predict_pool                   # scikit-learn's 1,797 digits as 96 px PNG files, over and over
    python -m benchmarks.predict_pool --items 2000

Each line is one way to share the cores; all take turns, and give the same answers. Wall-clock time: what is measured is
work beside work, on a machine that should have nothing else to do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_digits

import scirs_neural as sn
from scirs_neural.runs.predictor import Predictor
from tests.training.tiny import module_of

Way = tuple[int, int]


def files(folder: Path) -> list[Path]:
    paths = []
    for number, image in enumerate(load_digits().images):
        paths.append(folder / f"{number}.png")
        Image.fromarray((image * 15.9).astype("uint8")).resize((96, 96)).save(paths[-1])
    return paths


def main(arguments: list[str] | None = None) -> dict[Way, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    data = sn.create_data("digits", image_size=32)
    model = sn.create_model("cnn", num_classes=10, in_channels=1, input_size=32, seed=0)
    task = module_of(model, data)
    ways: list[Way] = [(threads, workers) for threads in (1, 2) for workers in (0, 1, 2)]
    times: dict[Way, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        items = list(islice(cycle(files(Path(folder))), chosen.items))
        first: list[object] | None = None
        for turn in range(chosen.rounds):
            for threads, workers in ways if turn % 2 else reversed(ways):
                torch.set_num_threads(threads)
                start = time.perf_counter()
                use = Predictor(task.task, task.model)
                said: list[object] = [p.answer for p in use.stream(items, batch_size=64, num_workers=workers)]
                times[threads, workers].append(time.perf_counter() - start)
                first = first or said
                assert said == first, "the ways disagree"
    rates = {way: chosen.items / statistics.median(found) for way, found in times.items()}
    print(f"{chosen.items:,} pictures, {chosen.rounds} rounds; all answers equal")
    print("computing threads   reading threads   pictures a second   over 1 and none")
    for (threads, workers), rate in rates.items():
        print(f"{threads:17d}{workers:18d}{rate:20,.0f}{rate / rates[1, 0]:18.2f}")
    return rates


if __name__ == "__main__":
    main()
