"""Classify images with a run or a package: ``python -m scirs_neural.predict runs/digits-resnet18/1 'scans/*.png'``."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError
from scirs_neural.core.paths import atomic_write

if TYPE_CHECKING:
    from scirs_neural.api import Guess


def main(argv: list[str]) -> int | None:
    """Name the most probable classes of every image, on the terminal and, if asked for, in a file."""
    parser = Arguments("python -m scirs_neural.predict", description=__doc__)
    parser.add_argument("run", help="a run folder, or a package")
    parser.add_argument("images", nargs="+", help="files, folders, or patterns in quotes")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="classes to name for each image (default 3)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write a .csv or .json file too")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that read images (default 2)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that the network computes with")
    parser.add_allow()
    args = parser.parse_args(argv)
    if min(args.top_k, args.batch_size, args.threads or 1) < 1 or args.workers < 0:
        raise ConfigError("--top-k, --batch-size and --threads must be at least 1, --workers at least 0")
    if args.output is not None and args.output.suffix not in (".csv", ".json"):
        raise ConfigError(
            f"cannot write '{args.output}'", where="command line, --output", fix="name a .csv or a .json file"
        )
    from scirs_neural.api import expand, guess

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    found = (str(file) for images in [args.images] for file in expand(images))  # looked for after the run
    options = {"top_k": args.top_k, "batch_size": args.batch_size, "num_workers": args.workers, "allow": args.allow}
    guesses = guess(args.run, found, **options)
    rows = [[g.source, *(_shown(g, k) for k in range(len(g.classes)))] for g in guesses]
    heads = ["image", *(f"top {k + 1}" for k in range(len(guesses[0].classes)))]
    terminal.table(terminal.wide_console(), heads, rows)
    if args.output is not None:
        atomic_write(args.output, format_guesses(guesses, args.output.suffix))
        print(f"written {args.output}")
    return None


def format_guesses(guesses: list[Guess], suffix: str) -> str:
    """Guesses as CSV (one row an image) or JSON."""
    if suffix == ".json":
        tops = [zip(g.classes, g.probabilities, strict=True) for g in guesses]
        plain = [
            {"image": g.source, "top": [{"class": name, "probability": share} for name, share in top]}
            for g, top in zip(guesses, tops, strict=True)
        ]
        return json.dumps(plain, indent=2) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    places = range(1, len(guesses[0].classes) + 1)
    writer.writerow(["image", *(head for k in places for head in (f"class_{k}", f"probability_{k}"))])
    for g in guesses:
        writer.writerow([g.source, *(cell for pair in zip(g.classes, g.probabilities, strict=True) for cell in pair)])
    return text.getvalue()


def _shown(guess: Guess, place: int) -> str:
    return f"{guess.classes[place]} ({terminal.percent(guess.probabilities[place])})"


if __name__ == "__main__":
    sys.exit(run_command(main))
