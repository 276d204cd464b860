"""A folder of the user's, and configurations composed in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import ConfigError, ManyErrors, ScirsError
from scirs_neural.runs.groups import config_groups


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def compose(home):
    """Compose a configuration from overrides."""

    def make(*overrides: str, **request: Any):
        return load_config(Request(overrides, **request), config_groups())

    return make


@pytest.fixture
def faults(compose):
    """Every fault of a configuration that must have some."""

    def find(*overrides: str, **request: Any) -> list[ScirsError]:
        with pytest.raises(ConfigError) as caught:
            compose(*overrides, **request)
        return list(caught.value.errors) if isinstance(caught.value, ManyErrors) else [caught.value]

    return find


@pytest.fixture
def write(home):
    """Write a file below the working folder."""

    def put(name: str, text: str) -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put
