"""What a run stands on."""

from __future__ import annotations

import json
import subprocess

from scirs_neural.core.environment import PACKAGES, environment, git_commit, installed, num_cpus


def test_it_is_plain_data_and_names_every_package():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert set(found["packages"]) == set(PACKAGES)
    assert found["packages"]["pydantic"]
    assert installed("no-such-package-at-all") is None
    assert num_cpus() >= 1


def test_torch_is_not_loaded_for_it(python):
    ended = python(
        "-c", "from scirs_neural.core.environment import *; import sys; environment(); print('torch' in sys.modules)"
    )
    assert ended.stdout == "False\n", ended.stderr


def test_the_commit_and_whether_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.hooksPath=/dev/null"]
    (tmp_path / "a").write_text("1")
    for command in (["init", "-q"], ["add", "a"], [*name, "commit", "-qm", "a"]):
        subprocess.run(["git", *command], check=True)
    commit = git_commit()
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit() == f"{commit}+changes"
