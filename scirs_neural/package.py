"""Pack a finished run as one portable file: ``python -m scirs_neural.package runs/digits-resnet18/1 --out digits.zip``.

    python -m scirs_neural.package inspect digits.zip      what is in a package
    python -m scirs_neural.package verify digits.zip       whether every bit of it is as it was written
    python -m scirs_neural.package migrate old.zip --out new.zip

The format is in docs/format.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scirs_neural.core import terminal
from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command

if TYPE_CHECKING:
    from scirs_neural.serialization import PackageFacts

ACTIONS = ("inspect", "verify", "migrate")


def main(argv: list[str]) -> int | None:
    """Pack a run, or look at, verify or migrate a package."""
    parser = Arguments(
        "python -m scirs_neural.package", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if argv and argv[0] in ACTIONS:
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("file", type=Path, help="a package: a folder or a zip")
        if argv[0] == "migrate":
            parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="FILE.zip, or a folder")
        _act(parser.parse_args(argv))
        return None
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="FILE.zip, or a folder (default: RUN/package.zip)")
    parser.add_allow()
    args = parser.parse_args(argv)
    from scirs_neural.api import load_run
    from scirs_neural.serialization import verify_package

    path = load_run(args.run, allow=args.allow).package(args.out)
    _show(verify_package(path))
    print(f"written and verified: {path}\nnext: python -m scirs_neural.predict {path} FILES")
    return None


def _act(args: argparse.Namespace) -> None:
    from scirs_neural.serialization import inspect_package, migrate_package, verify_package

    if args.action == "inspect":
        _show(inspect_package(args.file))
    elif args.action == "verify":
        facts = verify_package(args.file)
        size = sum(member.size for member in facts.manifest.members.values())
        print(f"{args.file}: whole. {len(facts.manifest.members)} members, {size:,} bytes, each with its SHA-256")
    else:
        path = migrate_package(args.file, args.out)
        print(f"written: {path}, version {inspect_package(path).version} of the format")


def _show(facts: PackageFacts) -> None:
    manifest, parts = facts.manifest, facts.manifest.parts
    count = sum(math.prod(shape) for _, shape in facts.tensors.values())
    shown = {
        "package": f"{manifest.name}, version {facts.version} of the format, {manifest.created}",
        **facts.shown(),
        "weights": f"{len(facts.tensors)} tensors, {count:,} numbers, {_dtypes(facts)}",
        **{
            f"metrics, {split}": ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            for split, values in facts.documents.get("metrics.json", {}).items()
        },
        "brought by": ", ".join(sorted({part.distribution or f"a module ({part.name})" for part in parts}))
        or "unknown",
        "licences": ", ".join(f"{what} {licence}" for what, licence in manifest.licences.items()) or "none given",
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()) or "unknown",
    }
    console = terminal.console()
    terminal.summary(console, {"facts": shown})
    rows = [[name, f"{member.size:,}", member.sha256[:16]] for name, member in manifest.members.items()]
    terminal.table(console, ["member", "bytes", "SHA-256 begins"], rows)


def _dtypes(facts: PackageFacts) -> str:
    return ", ".join(sorted({dtype for dtype, _ in facts.tensors.values()}))


if __name__ == "__main__":
    sys.exit(run_command(main))
