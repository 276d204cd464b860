"""What every test stands on: one thread, no display, no network, no cache of the user's. Imports no torch."""

from __future__ import annotations

import os
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded; the tests share their machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["MPLBACKEND"] = "Agg"
os.environ["SCIRS_OFFLINE"] = "1"
for _name in ("SCIRS_DEBUG", "SCIRS_RUN_DIR"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A cache of the tests' own: theirs fills nobody else's, and nobody else's helps them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIRS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _same_start():
    """Every test begins with the same random numbers, whatever ran before it, and on one thread of torch."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.manual_seed(0)
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)


@pytest.fixture(scope="session")
def python():
    """Run Python code in a fresh interpreter; gives the finished process."""
    import subprocess

    def run(*args: str, cwd=None, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False)

    return run
