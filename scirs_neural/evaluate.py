"""Judge a trained run on a split: ``python -m scirs_neural.evaluate runs/digits-resnet18/1``."""

from __future__ import annotations

import sys

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.paths import atomic_write


def main(argv: list[str]) -> int | None:
    """Run the network over a split anew, print its metrics with intervals, keep them as JSON; 1 if one failed."""
    parser = Arguments("python -m scirs_neural.evaluate", description=__doc__)
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument(
        "--by", action="append", default=[], metavar="COLUMN", help="score each value of a column of the data too"
    )
    parser.add_argument("--fold", action="store_true", help="fold BatchNorm into the layers before it first")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_allow()
    args = parser.parse_args(argv)
    from scirs_neural.api import load_run
    from scirs_neural.runs.record import RunRecord
    from scirs_neural.runs.show import show_evaluation

    run = load_run(args.run, allow=args.allow)
    if args.fold:
        run.fold_batchnorm()
    evaluation = run.evaluate(args.split, by=args.by)
    path = run.folder.path / f"evaluation-{args.split}.json"
    atomic_write(path, evaluation.to_json() + "\n")
    status = 1 if evaluation.failed else None
    if args.json:
        print(evaluation.to_json())
        return status
    console = terminal.console()
    weighted = f", weighted by {RunRecord(run.folder.path).weighted_by}" if evaluation.weighted else ""
    show_evaluation(evaluation, console, title=f"{run.folder.path}, {args.split} split{weighted}")
    terminal.summary(
        console, {"written": {path.name: "every figure, with the confusion matrix"}, "folder": str(run.folder.path)}
    )
    return status


if __name__ == "__main__":
    sys.exit(run_command(main))
