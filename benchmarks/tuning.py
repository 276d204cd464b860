"""TPE against random search with equally many trials, over several seeds, on six settings of a small network.

    python -m benchmarks.tuning                         # 60 trials, seeds 0 to 4: four minutes
    python -m benchmarks.tuning --seeds 10 --trials 30

Both samplers begin with the same ten random trials of a seed (`tune.startup`); what is compared is what they make of
the rest. The score is the best validation accuracy on scikit-learn's digits after a twelve-step epoch.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from rich.console import Console

from scirs_neural.config.schema import TuneConfig
from scirs_neural.tuning import Search
from scirs_neural.tuning.outcome import conclude

SETTINGS = (
    "model=mlp", "data=digits", "data.image_size=8", "data.transforms=none", "data.val_fraction=0.4",
    "logger=none", "trainer.max_epochs=1", "trainer.limit_train_batches=12",
)  # fmt: skip
SPACE = (
    "optimizer.lr=1e-5..1:log", "optimizer.weight_decay=1e-6..1:log", "data.batch_size=16..256:log",
    "model.dropout=0..0.8", "model.hidden=[4],[8],[16],[32],[64]", "scheduler=one_cycle,cosine,constant",
)  # fmt: skip
SAMPLERS = ("tpe", "random")


def best_of(sampler: str, seed: int, trials: int) -> float:
    """The best validation accuracy that a search finds."""
    with tempfile.TemporaryDirectory() as runs:
        asked = TuneConfig(trials=trials, sampler=sampler, seed=seed, pruner="none", startup=min(10, trials))
        study = Search.begin([*SETTINGS, *SPACE, f"paths.runs={runs}"], asked, Console(quiet=True)).run()
        return float(conclude(study)["best"][0]["values"]["val/accuracy"])


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Print the table; gives each sampler's best of each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    print(f"best validation accuracy of {chosen.trials} trials")
    print("seed" + "".join(f"{name:>10}" for name in SAMPLERS))
    best: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    for seed in range(chosen.seeds):
        for name in SAMPLERS:
            best[name].append(best_of(name, seed, chosen.trials))
        print(f"{seed:>4}" + "".join(f"{best[name][-1]:10.4f}" for name in SAMPLERS), flush=True)
    print("mean" + "".join(f"{np.mean(best[name]):10.4f}" for name in SAMPLERS))
    gain = np.subtract(best["tpe"], best["random"])
    draws = np.random.default_rng(0).choice(gain, (10_000, len(gain))).mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    print(f"tpe over random: {gain.mean():+.4f} (95 % {low:+.4f} to {high:+.4f}), better on {sum(gain > 0)} seeds")
    return best


if __name__ == "__main__":
    main()
