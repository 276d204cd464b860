"""Search for the best settings: ``python -m scirs_neural.tune model=cnn data=digits optimizer.lr=1e-4..1e-1:log``.

Any setting may have several values (``model.width=8,16,32``) or a range: ``low..high``, ``low..high:log``,
``low..high/step``. The others are fixed. ``tune.…=`` says how to search.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command, starting_up
from scirs_neural.core.errors import ConfigError


def main(argv: list[str]) -> int | None:
    """Run the trials of a new study or of one that was broken off, and show the best."""
    args = _parser().parse_args(argv)
    with starting_up():
        from scirs_neural.core import terminal

        settings = tune_settings([text for text in args.overrides if text.startswith("tune.")])
        others = [text for text in args.overrides if not text.startswith("tune.")]
        from scirs_neural.tuning.search import Search, work_for

    console = terminal.console()
    if args.worker is not None:
        work_for(args.resume, args.worker, console, args.allow)
        return None
    if args.resume is not None:
        if others or args.space:
            raise ConfigError(
                f"a study keeps its settings: {' '.join(others) or args.space}",
                where="command line",
                fix="with --resume: tune.trials, tune.workers",
            )
        changed = settings.model_dump(include=settings.model_fields_set)
        search = Search.resume(args.resume, changed, console, allow=args.allow)
    else:
        from scirs_neural.tuning.space import parse_space

        space = parse_space(args.space) if args.space else []
        search = Search.begin(others, settings, console, space=space, config_dir=args.config_dir)
    console.print(f"study in {search.folder}", soft_wrap=True)
    again = f"python -m scirs_neural.tune --resume {search.folder}{search.plan.words}"
    console.print(f"if it is broken off: {again}", soft_wrap=True, markup=False)
    study = search.run()
    from scirs_neural.tuning.outcome import conclude, show

    show(study, conclude(study), console)
    return None


def tune_settings(overrides: list[str]) -> Any:
    """The settings of the search, from the overrides that begin with ``tune.``.

    Raises:
        ConfigError: one is unknown, of the wrong type or out of range.

    Example:
        >>> tune_settings(["tune.trials=5", "tune.objectives=[val/loss]"]).trials
        5
    """
    from scirs_neural.config.overrides import read_override
    from scirs_neural.config.schema import TuneSettings
    from scirs_neural.config.validate import check_section

    found: dict[str, Any] = {}
    for text in overrides:
        override = read_override(text)
        if override.is_sweep_override():
            raise ConfigError(f"'{override.key_or_group}' has several values", where=f"command line, {text}")
        found[override.key_or_group.removeprefix("tune.")] = override.value()
    return check_section(TuneSettings, {"tune": found}, "command line").tune


def _parser() -> Arguments:
    form = argparse.RawDescriptionHelpFormatter
    parser = Arguments("python -m scirs_neural.tune", description=__doc__, formatter_class=form)
    parser.add_argument("overrides", nargs="*", metavar="key=values", help="settings: one value, several, or a range")
    parser.add_argument("--space", type=Path, metavar="FILE", help="more to search: YAML, setting to range or list")
    parser.add_argument("--resume", type=Path, metavar="STUDY", help="go on with the study in this folder")
    parser.add_allow()
    parser.add_argument("-cd", "--config-dir", type=Path, metavar="DIR", help="your configs (default: ./configs)")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.epilog = "settings of the search:\n" + "\n".join(
        f"  {name:<24}{meaning}" for name, meaning in _settings_help()
    )
    return parser


def _settings_help() -> list[tuple[str, str]]:
    from scirs_neural.config.help import setting_rows
    from scirs_neural.config.schema import TuneConfig

    return [row for _, rows in setting_rows(TuneConfig(), "tune.") for row in rows]


if __name__ == "__main__":
    sys.exit(run_command(main))
