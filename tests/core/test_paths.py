"""Run folders that do not collide, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import multiprocessing
import os

import pytest

from scirs_neural.core import paths
from scirs_neural.core.errors import StorageError
from scirs_neural.core.paths import (
    RUN_DIR_ENV,
    atomic_write,
    cache_dir,
    is_offline,
    new_run_dir,
    replacing,
    replacing_folder,
)


def test_run_folders_are_numbered_and_go_on_after_the_highest(tmp_path):
    assert new_run_dir(tmp_path, "digits-cnn") == tmp_path / "digits-cnn" / "1"
    (tmp_path / "digits-cnn" / "7").mkdir()
    (tmp_path / "digits-cnn" / "²").mkdir()  # a digit, but no number
    assert new_run_dir(tmp_path, "digits-cnn").name == "8"


@pytest.mark.parametrize("name", ["../out", "a/b", "..", "x y", "/abs"])
def test_a_name_stays_one_folder_below_the_root(tmp_path, name):
    made = new_run_dir(tmp_path / "runs", name)
    assert made.parent.parent == tmp_path / "runs"
    assert made.is_dir()


def _make(root):
    return str(new_run_dir(root, "same"))


def test_eight_processes_at_once_get_eight_folders(tmp_path):
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        made = pool.map(_make, [tmp_path] * 32, chunksize=1)
    assert len(set(made)) == 32
    assert sorted(int(path.rpartition("/")[2]) for path in made) == list(range(1, 33))


def test_a_rank_takes_the_folder_of_its_parent(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_DIR_ENV, str(tmp_path / "mine"))
    assert new_run_dir(tmp_path, "x") == tmp_path / "mine"


def test_a_run_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not make the run folder: not a directory") as caught:
        new_run_dir(tmp_path / "file", "x")
    assert str(tmp_path / "file") in str(caught.value.where)


def test_no_permission_names_the_setting_that_helps(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(StorageError, match="permission denied") as caught:
        new_run_dir(tmp_path / "runs", "x")
    assert "paths.runs=" in caught.value.fix


@pytest.mark.parametrize("content", ["text: é\n", b"\x00\x01"])
def test_what_is_written_is_read_again_with_the_rights_that_the_umask_gives(tmp_path, content):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", content)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    atomic_write(tmp_path / "a", "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(paths.os, "fsync", full)
    with pytest.raises(StorageError, match="no space left on device") as caught:
        atomic_write(tmp_path / "a", "new")
    assert "free some space" in caught.value.fix
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    atomic_write(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as temporary:  # noqa: PT012 - what is tested
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_where_the_folder_should_be_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        atomic_write(tmp_path / "file" / "a", "x")


def test_the_cache_and_the_network_are_chosen_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIRS_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("SCIRS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "scirs_neural"
    for value, offline in {"1": True, "true": True, "0": False, "": False, "No": False}.items():
        monkeypatch.setenv("SCIRS_OFFLINE", value)
        assert is_offline() is offline


def test_a_folder_takes_the_place_of_another_whole(tmp_path):
    for content in ("old", "new"):
        with replacing_folder(tmp_path / "a", "deep/old") as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / content).write_text(content)
            assert not (tmp_path / "a" / "deep" / content).exists()
        assert os.listdir(tmp_path / "a" / "deep") == [content]
        assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("foreign", ["file", "folder"])
def test_a_folder_of_something_else_stays(tmp_path, foreign):
    theirs = tmp_path / "a" if foreign == "file" else tmp_path / "a" / "theirs"
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("precious")
    with pytest.raises(StorageError, match="will not overwrite"), replacing_folder(tmp_path / "a", "header.json"):
        pass
    assert theirs.read_text() == "precious"


@pytest.mark.parametrize("failing", ["fsync", "rename", "writer"])
def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch, failing):
    with replacing_folder(tmp_path / "a", "file") as temporary:
        (temporary / "file").write_text("old")

    def broken(*args):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(paths, "sync_dir" if failing == "fsync" else "_exchange", broken)
    with pytest.raises(StorageError, match="input/output error"), replacing_folder(tmp_path / "a", "file") as temporary:  # noqa: PT012 - what is tested
        (temporary / "file").write_text("new")
        if failing == "writer":
            broken()
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_where_folders_cannot_change_places_they_are_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_exchange", lambda one, other: False)
    for content in ("old", "new"):
        with replacing_folder(tmp_path / "a", "file") as temporary:
            (temporary / "file").write_text(content)
    assert (tmp_path / "a" / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_every_file_and_folder_is_flushed_before_the_name_is_given(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(paths.os, "fsync", lambda handle: flushed.append(os.readlink(f"/proc/self/fd/{handle}")))
    with replacing_folder(tmp_path / "a", "file") as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").write_text("x")
        (temporary / "file").write_text("x")
    names = [os.path.relpath(path, tmp_path).replace(temporary.name, "T") for path in flushed]
    assert names.index("T/deep/file") < names.index("T/deep") < names.index("T") < names.index(".")
    assert set(names) == {"T/deep/file", "T/deep", "T/file", "T", "."}


@pytest.mark.parametrize("write", [lambda path: atomic_write(path, "new"), None])
def test_what_killed_writers_left_is_swept_away_later(tmp_path, write):
    kept = [".a.12345678.tmp", ".ab.12345678.tmp", ".a.tmp", ".a.1234567z.tmp"]
    for name in [".a.0badcafe.tmp", *kept]:
        (tmp_path / name).write_text("half")
        if name != kept[0]:  # this one may still be written to
            os.utime(tmp_path / name, (0, 0))
    if write:
        write(tmp_path / "a")
    else:
        (tmp_path / ".a.00000000.tmp").mkdir()
        os.utime(tmp_path / ".a.00000000.tmp", (0, 0))
        with replacing_folder(tmp_path / "a", "file"):
            pass
    assert sorted(os.listdir(tmp_path)) == sorted(["a", *kept])
