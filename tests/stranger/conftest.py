"""A stranger's distribution, built as a wheel and installed for the tests of this folder alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scirs_neural.core import registry as registry_module
from scirs_neural.core.registries import REGISTRIES, registry
from scirs_neural.core.registry import Registry
from scirs_neural.evaluation.registry import PREDICTIONS

SOURCE = Path(__file__).parent / "distribution"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages: of the wheel, which is of Python alone and so is unpacked (PEP 427)."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"import setuptools.build_meta as build; build.build_wheel({str(folder)!r})"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=folder / "source", capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("scirs_neural_sunspots-1.2.0-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def tables() -> list[Registry]:
    """Every registry that takes entry points."""
    return [*(registry(kind) for kind in REGISTRIES), PREDICTIONS]


@pytest.fixture(scope="module")
def installed(site: Path, tables: list[Registry]) -> Iterator[Path]:
    """The distribution as if it had been installed before this process began."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        for table in tables:
            patch.setattr(table, "_entries", dict(table._entries))
            patch.setattr(table, "_entry_points_loaded", False)
        registry_module._installed_entry_points.cache_clear()
        yield site
    registry_module._installed_entry_points.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "sunspots"]:
        del sys.modules[name]
