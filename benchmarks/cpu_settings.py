"""What settings of speed are worth on this CPU: memory format, bfloat16, BatchNorm folded.

    python -m benchmarks.cpu_settings
    python -m benchmarks.cpu_settings --model mobilenet_v3_small --batch-size 32

Each line is CPU time over that of the first line of its kind, all in turns in one run: median and 95 % interval of the
paired ratios. Below 1 pays. `trainer.find_memory_format=true` asks the same of a run's own network.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.models.folding import fold_batchnorm

NHWC = torch.channels_last


def ways(model: nn.Module, images: Tensor) -> dict[str, dict[str, Callable[[], Any]]]:
    """What is measured, by kind: steps of training, and use."""
    targets = torch.randint(10, (len(images),))

    def training(format: torch.memory_format, lower: bool) -> Callable[[], Any]:
        network, batch = copy.deepcopy(model).train().to(memory_format=format), images.to(memory_format=format)
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16) if lower else contextlib.nullcontext():
                loss = nn.functional.cross_entropy(network(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    def using(format: torch.memory_format, fold: bool) -> Callable[[], Any]:
        network = copy.deepcopy(model).eval()
        if fold:
            network, gone = fold_batchnorm(network)
            assert gone
        network, batch = network.to(memory_format=format), images.to(memory_format=format)

        def use() -> Tensor:
            with torch.inference_mode():
                found: Tensor = network(batch)
            return found

        return use

    plain = torch.contiguous_format
    return {
        "a step of training": {
            "fp32, NCHW": training(plain, False),
            "fp32, channels-last": training(NHWC, False),
            "bf16-mixed, NCHW": training(plain, True),
            "bf16-mixed, channels-last": training(NHWC, True),
        },
        "use": {
            "NCHW": using(plain, False),
            "channels-last": using(NHWC, False),
            "channels-last, BatchNorm folded": using(NHWC, True),
        },
    }


def measure(found: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """The ratio of each to the first: median, low, high."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds + 1):
        for name in list(found) if turn % 2 else reversed(found):
            start = time.process_time()
            found[name]()
            if turn:  # the first turn warms up
                times[name].append(time.process_time() - start)
    base = np.array(times[next(iter(found))])
    ratios = {}
    for name, taken in times.items():
        ratio = np.array(taken) / base
        draws = np.median(np.random.default_rng(0).choice(ratio, (2000, len(ratio))), axis=1)
        low, high = np.percentile(draws, (2.5, 97.5))
        ratios[name] = (float(np.median(ratio)), float(low), float(high))
    return ratios


def main(arguments: list[str] | None = None) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Measure and print; gives what was printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args(arguments)
    torch.manual_seed(0)
    model = sn.create_model(chosen.model, num_classes=10, input_size=chosen.input_size, seed=0)
    images = torch.randn(chosen.batch_size, 3, chosen.input_size, chosen.input_size)
    table = {kind: measure(found, chosen.rounds) for kind, found in ways(model, images).items()}
    size = f"{chosen.input_size} px, batch {chosen.batch_size}"
    print(f"{chosen.model}, {size}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    for kind, rows in table.items():
        print(kind)
        for name, (ratio, low, high) in rows.items():
            print(f"  {name:34}{ratio:6.2f}  ({low:.2f} to {high:.2f})")
    return table


if __name__ == "__main__":
    main()
