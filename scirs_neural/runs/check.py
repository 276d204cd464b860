"""Build everything that a configuration names without memory or training, and say what would be run."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from scirs_neural.config.schema import RunConfig
from scirs_neural.core import terminal
from scirs_neural.models.meta import on_meta
from scirs_neural.runs.build import make_data
from scirs_neural.runs.cross_validation import check_cross_validation
from scirs_neural.runs.parts import build_parts
from scirs_neural.runs.preflight import check_parts
from scirs_neural.runs.train import run_facts
from scirs_neural.training.machine import check_machine
from scirs_neural.training.optimizer_rules import check_optimizer


def check_run(config: RunConfig, console: Console) -> None:
    """Build data, network (on the meta device), task and callbacks; print what they are.

    Raises:
        ScirsError: whatever would have stopped the run.
    """
    if config.cv.folds:
        config = check_cross_validation(config)
    check_machine(config.trainer)
    check_optimizer(config.optimizer, config.scheduler, config.trainer, config.plugins)
    data = make_data(config)
    with on_meta():
        parts = build_parts(config, data=data)  # nothing is loaded into a network without memory
        try:
            parts.module.prepare()
        except (RuntimeError, NotImplementedError) as error:
            if "meta" not in str(error):  # a plugin that looks at values cannot be tried without them
                raise
    check_parts(config, parts)
    terminal.header(console, run_facts(config, parts)["shown"])
    console.print(Text("ok: this configuration can be run", style="green"))
