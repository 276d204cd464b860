"""What a wheel holds: every package of the tree, and the data files that they read."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
CONFIGS = "scirs_neural.configs"


def tracked(*patterns: str) -> list[Path]:
    """Files that are in the repository, as a clone has them."""
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone: there is no list of files to hold the packages to")
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_the_list_of_packages_is_the_tree():
    code = {".".join(path.parent.parts) for path in tracked("scirs_neural") if path.name == "__init__.py"}
    configs = {".".join((CONFIGS, *path.parent.parts[1:])) for path in tracked("configs") if path.suffix == ".yaml"}
    assert sorted(TOOL["packages"]) == sorted(code | configs)
    assert TOOL["package-dir"] == {CONFIGS: "configs"}


def test_every_data_file_matches_a_pattern_that_is_packed():
    patterns = TOOL["package-data"]["*"]
    others = [path for path in tracked("scirs_neural", "configs") if path.suffix not in (".py", ".md")]
    assert [str(path) for path in others if not any(path.match(pattern) for pattern in patterns)] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_wheel_holds_every_module_and_data_file(tmp_path):
    source = tmp_path / "source"
    for path in [*tracked("scirs_neural", "configs"), Path("pyproject.toml")]:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes((ROOT / path).read_bytes())
    readme = ROOT / "README.md"
    (source / "README.md").write_text(readme.read_text() if readme.exists() else "")
    code = f"import setuptools.build_meta as build; print(build.build_wheel({str(tmp_path)!r}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {str(path) for path in tracked("scirs_neural") if path.suffix != ".md"}
    expected |= {f"scirs_neural/{path}" for path in tracked("configs") if path.suffix in (".yaml", ".py")}
    assert held == expected
    assert {"scirs_neural/configs/train.yaml", "scirs_neural/models/vision/catalog.json"} <= held
