"""Train a model: ``python -m scirs_neural.train model=resnet50 data=digits trainer.max_epochs=5``."""

from __future__ import annotations

import sys
from pathlib import Path

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command, starting_up
from scirs_neural.core.errors import ConfigError


def main(argv: list[str]) -> int | None:
    """Train, evaluate and report one run, or each run of a sweep; 1 if a metric failed at its end."""
    args = _parser().parse_args(argv)
    if args.show and "=" in args.show:  # a setting, not the group that --show may name
        args.overrides, args.show = [args.show, *args.overrides], ""
    with starting_up():
        from scirs_neural.config.compose import Request, load_config
        from scirs_neural.core import terminal
        from scirs_neural.runs.groups import config_groups

        saved = _saved_config(args.from_run)
        request = Request(args.overrides, args.config_dir, saved, args.allow, config_name=args.config_name)
        if args.help:
            from scirs_neural.config.help import print_help

            print_help(terminal.console(), _parser().format_usage(), request, config_groups())
            return None
        if args.show is not None or args.cfg:
            from scirs_neural.config.show import show_config

            section = args.package if args.cfg else args.show
            show_config(request, config_groups(), section, with_origin=not args.cfg)
            return None
        if not args.multirun:
            config = load_config(request, config_groups())
    if args.multirun:
        from scirs_neural.runs.sweep import run_sweep

        return run_sweep(request, terminal.console(), check=args.check)
    if ":" in config.task.name:
        from scirs_neural.runs.lightning_module import is_lightning, train_lightning

        if is_lightning(config):
            train_lightning(config, terminal.console(), check=args.check)
            return None
    if args.check:
        from scirs_neural.runs.check import check_run

        check_run(config, terminal.console())
        return None
    console = terminal.console()
    if config.trainer.fast_dev_run:
        from scirs_neural.runs.fast_dev_run import fast_dev_run

        fast_dev_run(config, console)
        return None
    from scirs_neural.runs.finish import finish
    from scirs_neural.runs.train import train_run

    if config.cv.folds:
        from scirs_neural.runs.cross_validation import OUT_OF_FOLD, cross_validate
        from scirs_neural.runs.report import Judged, write_report
        from scirs_neural.runs.show import show_cross_validation

        found = cross_validate(config, console, after_run=finish)
        write_report(found.folder.path, judged=Judged(OUT_OF_FOLD, found.pooled, found.out_of_fold))
        show_cross_validation(found, console)
        return 1 if found.out_of_fold.failed else None
    done = train_run(config, console=console)
    finish(done, console)
    return 1 if done.summary["failed_metrics"] else None


def _saved_config(run: str | None) -> Path | None:
    if run is None:
        return None
    path = Path(run)
    found = path / "config.yaml" if path.is_dir() else path
    if not found.is_file():
        raise ConfigError(
            f"no configuration in '{run}'", where="command line, --from", fix="name a run folder or a config.yaml"
        )
    return found


def _parser() -> Arguments:
    parser = Arguments("python -m scirs_neural.train", description=__doc__, add_help=False)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, in Hydra's grammar")
    parser.add_argument("-h", "--help", action="store_true", help="show every group, value and setting")
    parser.add_argument("--check", action="store_true", help="build everything without memory or training, and report")
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="run every combination: seed=0,1 model=resnet18,cnn"
    )
    parser.add_argument("--from", dest="from_run", metavar="RUN", help="start from a run folder's config.yaml")
    parser.add_allow()
    parser.add_argument("--show", nargs="?", const="", metavar="GROUP", help="print each value and where it came from")
    parser.add_argument("--cfg", choices=["job"], help="print the composed configuration as YAML")
    parser.add_argument("-p", "--package", default="", metavar="GROUP", help="of --cfg: a part, such as optimizer")
    parser.add_argument("-cd", "--config-dir", type=Path, metavar="DIR", help="your configs (default: ./configs)")
    parser.add_argument("-cn", "--config-name", default="train", metavar="NAME", help="the primary config (train)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
