"""``trainer.fast_dev_run``: a few batches of a whole run, to find faults."""

from __future__ import annotations

import tempfile

from rich.console import Console
from rich.text import Text

from scirs_neural.config.schema import PathsConfig, RunConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.runs.train import train_run


def fast_dev_run(config: RunConfig, console: Console) -> None:
    """Go through a whole run with a few batches (the schema has turned the setting into limits), and keep nothing.

    Raises:
        ConfigError: for a cross-validation, whose runs are kept.
    """
    if config.cv.folds:
        raise ConfigError("fast_dev_run keeps nothing, and a cross-validation is its runs", fix="leave cv out")
    batches = int(config.trainer.fast_dev_run)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        train_run(config.model_copy(update={"paths": PathsConfig(runs=folder), "logger": {}}), console=console)
    done = f"fast_dev_run: {batches} batch{'es' * (batches > 1)} each of training, validation and test went through"
    console.print(Text(f"{done}; nothing is kept", style="green"))
