"""Answers that need no torch come without it, and without more modules than they were measured to need."""

# ruff: noqa: E501 - commands
from __future__ import annotations

import pytest

HEAVY = {
    "torch",
    "numpy",
    "lightning",
    "torchvision",
    "torchmetrics",
    "sklearn",
    "matplotlib",
    "scipy",
    "pandas",
    "tensorboard",
}

# Modules in sys.modules at the end: as measured on Python 3.11 with hydra-core 1.3.8 and pydantic 2.x, and 5 % more.
LIMITS = {
    "import scirs_neural": 79,
    "import scirs_neural.core.terminal": 163,
    "from scirs_neural.runs.groups import config_groups; config_groups()": 180,
    "from scirs_neural.train import main; main(['--help'])": 511,
    "from scirs_neural.train import main; main(['model=resnet51'])": 552,
    "from scirs_neural.config.compose import *; from scirs_neural.runs.groups import *; load_config(Request(), config_groups())": 460,
}


@pytest.mark.parametrize("code", LIMITS)
def test_it_loads_few_modules_and_no_torch(python, tmp_path, code):
    ended = python(
        "-c",
        "import sys, atexit\n"
        f"atexit.register(lambda: print('loaded', len(sys.modules), sorted({HEAVY} & set(sys.modules)), file=sys.stderr))\n"
        f"try:\n    {code}\nexcept Exception as error:\n    print('ended with', type(error).__name__, file=sys.stderr)\n",
        cwd=tmp_path,
    )
    said = ended.stderr.splitlines()
    assert ("ended with UnknownNameError" in said) == ("resnet51" in code), ended.stderr
    count, heavy = said[-1].removeprefix("loaded ").split(" ", 1)
    assert heavy == "[]"
    assert int(count) <= LIMITS[code]
