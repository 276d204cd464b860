"""Answer new samples with a run or package: ``python -m scirs_neural.predict runs/digits-resnet18/1 'scans/*.png'``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.core.paths import refuse_input

MAX_SHOWN = 1000  # rows on the terminal; a file takes all


def main(argv: list[str]) -> int | None:
    """Answer every sample, on the terminal and, if asked for, in a file; 1 if some could not be used."""
    parser = Arguments("python -m scirs_neural.predict", description=__doc__)
    parser.add_argument("run", help="a run folder, or a package")
    parser.add_argument("inputs", nargs="+", help="files, folders, or patterns in quotes")
    parser.add_argument("--top-k", type=int, metavar="K", help="classes to name for each sample (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of answering")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write a .csv, .json or .jsonl file too")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that read samples (default 2)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that the network computes with")
    parser.add_allow()
    args = parser.parse_args(argv)
    if min(args.top_k or 1, args.batch_size, args.threads or 1) < 1 or args.workers < 0:
        raise ConfigError("--top-k, --batch-size and --threads must be at least 1, --workers at least 0")
    from scirs_neural.runs.answer_files import AnswerFile, answer_settings, expand, shown

    settings = {**({} if args.top_k is None else {"top_k": args.top_k}), **answer_settings(args.set)}
    with AnswerFile(
        args.output, tell=partial(print, file=sys.stderr)
    ) as output:  # opened before any work, put into its place when all is done
        from scirs_neural.api import load_predictor

        use = load_predictor(args.run, settings, allow=args.allow)
        files = expand(args.inputs, use.pipeline)
        if args.output is not None:
            own = (Path(args.run, name) for name in ("summary.json", "metrics.csv"))
            refuse_input(args.output, [args.run, *own, *files], "command line, --output")
        if args.threads:
            import torch

            torch.set_num_threads(args.threads)
        rows: list[list[str]] = []
        count = bad = 0
        first: DataError | None = None
        for found in use.stream(files, batch_size=args.batch_size, num_workers=args.workers, skip_bad=True):
            output.write(found)
            first = first or found.error
            count, bad = count + 1, bad + (found.error is not None)
            if found.error is not None or len(rows) < MAX_SHOWN:
                rows.append(shown(found, args.top_k or 3))
    width = max((len(row) for row in rows), default=1)
    heads = ["sample", *(f"answer {place}" if width > 2 else "answer" for place in range(1, width))]
    terminal.table(terminal.wide_console(), heads, [[*row, *[None] * (width - len(row))] for row in rows])
    if count > len(rows):
        print(f"and {count - len(rows):,} more")
    if output.is_written:
        print(f"written {args.output}")
    if first is not None:
        print(f"{bad} of {count} samples could not be used; the first:")
        print(first.render(), file=sys.stderr)
    return 1 if bad else None


if __name__ == "__main__":
    sys.exit(run_command(main))
