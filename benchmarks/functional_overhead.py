"""Forward time of nets from the functional API over the same nets written by hand.

Run: ``python -m benchmarks.functional_overhead``. Goal: within 2 %. Rounds are interleaved A B B A on one thread, and
that thread's CPU time is taken; each round gives one ratio, and the interval is a bootstrap of their median. The Python
calls of one forward pass, which do not depend on what else the machine does, are counted too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from scirs_neural.builder import Input, Model, layer, residual


class HandWritten(nn.Module):
    """A small residual net, as one would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.relu(self.stem(x))
        x = x + self.conv2(self.relu(self.conv1(x)))
        return self.head(self.flatten(self.pool(x)))


def functional() -> Model:
    """The same net from symbolic calls."""
    x = Input((3, 32, 32))
    h = layer("relu")(layer("conv2d", 16, 3, padding=1)(x))
    h = residual([{"conv2d": [16, 3, 1, 1]}, "relu", {"conv2d": [16, 3, 1, 1]}])(h)
    return Model(x, layer("linear", 10)(layer("flatten")(layer("adaptive_avg_pool2d", 1)(h))))


def mlp() -> tuple[nn.Module, nn.Module]:
    """Ten narrow layers, where what is not arithmetic weighs most; by hand and from symbolic calls."""

    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for i in range(10):
                setattr(self, f"linear_{i}", nn.Linear(64, 64))

        def forward(self, x: Tensor) -> Tensor:
            x = self.linear_0(x)
            x = self.linear_1(x)
            x = self.linear_2(x)
            x = self.linear_3(x)
            x = self.linear_4(x)
            x = self.linear_5(x)
            x = self.linear_6(x)
            x = self.linear_7(x)
            x = self.linear_8(x)
            return self.linear_9(x)

    x = y = Input((64,))
    for i in range(10):
        y = layer("linear", 64, name=f"linear_{i}")(y)
    return Narrow(), Model(x, y)


def python_calls(run: Callable[[], object]) -> int:
    """Python functions entered during one call."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def measure(hand: nn.Module, built: nn.Module, x: Tensor, rounds: int, repeats: int) -> np.ndarray:
    """The ratio built / hand of each round: of the median over forward passes in the order A B B A."""

    def seconds(net: nn.Module) -> float:
        start = time.thread_time()
        net(x)
        return time.thread_time() - start

    ratios = []
    with torch.no_grad():
        for number in range(rounds + 1):  # the first is for warming up
            times: dict[nn.Module, list[float]] = {hand: [], built: []}
            for _ in range(repeats):
                for net in (hand, built, built, hand):
                    times[net].append(seconds(net))
            if number:
                ratios.append(np.median(times[built]) / np.median(times[hand]))
    return np.array(ratios)


def main() -> int:
    """Print one line a net; the exit status says whether the interval's worse end is within the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--goal", type=float, default=1.02)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    worst = 0.0
    nets = {
        "conv 3x16, batch 16 of 32x32": (HandWritten(), functional(), torch.randn(16, 3, 32, 32), 10),
        "ten linear 64, batch 32": (*mlp(), torch.randn(32, 64), 150),
    }
    for name, (hand, built, x, repeats) in nets.items():
        hand.eval(), built.eval()
        ratios = measure(hand, built, x, options.rounds, repeats)
        rng = np.random.default_rng(0)
        medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        calls = python_calls(lambda net=built, x=x: net(x)), python_calls(lambda net=hand, x=x: net(x))
        print(
            f"{name}: {np.median(ratios):.4f} of by hand [{low:.4f}, {high:.4f}], "
            f"{options.rounds} rounds; Python calls {calls[0]} against {calls[1]}"
        )
        worst = max(worst, high)
    return 0 if worst <= options.goal else 1


if __name__ == "__main__":
    sys.exit(main())
