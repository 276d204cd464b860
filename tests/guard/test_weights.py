"""The guarded door: what is read, what is refused and why, and that nothing of a refused file is run."""

from __future__ import annotations

import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scirs_neural.core.errors import CheckpointError, StorageError
from scirs_neural.guard import read_checkpoint, read_metadata, read_state_dict, write_state_dict


class Payload:
    """Pickled, it asks for a command to be run that leaves a canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(4, 3, generator=generator),
        "half": torch.randn(5, generator=generator).to(torch.bfloat16),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False]),
    }


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]) for key in ours
    )


def test_safetensors_come_back(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    write_state_dict(tmp_path / "net.safetensors", state, {"name": "resnet18"})
    assert same(read_state_dict(tmp_path / "net.safetensors"), state)
    assert same(load_file(tmp_path / "net.safetensors"), state)
    assert read_metadata(tmp_path / "net.safetensors") == {"name": "resnet18"}
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_shared_and_strided_tensors_come_back(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"a": whole, "tied": whole, "part": whole[1:], "turned": whole.T, "wide": torch.ones(1).expand(5)}
    write_state_dict(tmp_path / "net.safetensors", state)
    assert same(read_state_dict(tmp_path / "net.safetensors"), state)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_come_back(
    state: dict[str, torch.Tensor], tmp_path: Path, suffix: str, key: str | None, zipped: bool
) -> None:
    held = state if key is None else {"epoch": 3, key: state, "optimizer": {"lr": 0.1}}
    torch.save(held, tmp_path / f"net{suffix}", _use_new_zipfile_serialization=zipped)
    assert same(read_state_dict(tmp_path / f"net{suffix}"), state)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["alone", "value", "beside"])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path, zipped: bool, place: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / "bad.pth"
    payload = Payload(canary)
    held = {"alone": payload, "value": {"weight": payload}, "beside": {"weight": torch.ones(2), "x": [payload]}}[place]
    torch.save(held, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(file)
    assert f"{os.system.__module__}.system" in str(caught.value)
    assert len(caught.value.render().splitlines()) <= 6
    assert not canary.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "bad.pt"
    file.write_bytes(pickle.dumps(Payload(canary)))
    with pytest.raises(CheckpointError):
        read_state_dict(file)
    assert not canary.exists()


def test_the_payload_would_have_run(tmp_path: Path) -> None:
    """The canary is real: the same file leaves one when it is unpickled without the door."""
    canary, file = tmp_path / "canary", tmp_path / "bad.pth"
    torch.save(Payload(canary), file)
    torch.load(file, weights_only=False)
    assert canary.exists()


def repack(source: Path, target: Path, compression: int) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))


def test_a_zip_that_would_grow_is_refused_before_it_does(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(4 << 20)}, tmp_path / "plain.pt")
    repack(tmp_path / "plain.pt", tmp_path / "bomb.pt", zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pt").stat().st_size < 200_000
    assert torch.load(tmp_path / "bomb.pt", weights_only=True)["weight"].numel() == 4 << 20  # torch itself unpacks it
    with pytest.raises(CheckpointError, match=r"would unpack from .* to 16,777,216"):
        read_state_dict(tmp_path / "bomb.pt")


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, tmp_path / "wide.pt")
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_state_dict(tmp_path / "wide.pt")


def test_meta_and_sparse_tensors_are_refused(tmp_path: Path) -> None:
    for name, tensor in (("meta", torch.empty(3, device="meta")), ("sparse", torch.eye(3).to_sparse())):
        torch.save({"weight": tensor}, tmp_path / f"{name}.pt")
        with pytest.raises(CheckpointError, match="'weight'"):
            read_state_dict(tmp_path / f"{name}.pt")


def test_old_torch_reads_no_pickle(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(state, tmp_path / "net.pth")
    write_state_dict(tmp_path / "net.safetensors", state)
    monkeypatch.setattr("torch.__version__", type(torch.__version__)("2.9.1+cpu"))
    monkeypatch.setattr("torch.load", None)
    with pytest.raises(CheckpointError, match="CVE-2026-24747"):
        read_state_dict(tmp_path / "net.pth")
    assert same(read_state_dict(tmp_path / "net.safetensors"), state)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 5, 0.5, -1])
def test_cut_off_files_are_named(state: dict[str, torch.Tensor], tmp_path: Path, suffix: str, keep: float) -> None:
    file = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        write_state_dict(file, state)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(file)
    assert str(file) in str(caught.value)
    assert len(caught.value.render().splitlines()) <= 6


def test_a_huge_safetensors_header_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    for length in (1 << 40, 17 << 20):
        with open(file, "wb") as handle:
            handle.write(struct.pack("<Q", length) + b"{")
            handle.truncate(18 << 20)
        with pytest.raises(CheckpointError, match="header"):
            read_state_dict(file)
        with pytest.raises(CheckpointError, match="header"):
            read_metadata(file)


def test_what_is_no_weights_file_is_named(tmp_path: Path) -> None:
    for name in ("net.h5", "net"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(CheckpointError, match="cannot read weights from"):
            read_state_dict(tmp_path / name)
    with pytest.raises(CheckpointError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
    (tmp_path / "dir.pth").mkdir()
    with pytest.raises(CheckpointError, match="not a file"):
        read_state_dict(tmp_path / "dir.pth")
    (tmp_path / "text.pth").write_text("weights, honestly")
    with pytest.raises(CheckpointError):
        read_state_dict(tmp_path / "text.pth")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_state_dict(tmp_path / "list.pth")
    torch.save({"weight": torch.ones(1), "epoch": 3}, tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="'epoch' is no tensor but a int"):
        read_state_dict(tmp_path / "mixed.pth")


def test_checkpoints_of_plain_data_come_back_whole(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": state, "epoch": 3, "callbacks": {"best": 0.5}}, tmp_path / "last.ckpt")
    held = read_checkpoint(tmp_path / "last.ckpt")
    assert (held["epoch"], held["callbacks"]) == (3, {"best": 0.5})
    assert same(held["state_dict"], state)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a full disk: no file may grow past a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_the_old_file(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    write_state_dict(file, state)
    with largest_file(1 << 16), pytest.raises(StorageError):
        write_state_dict(file, {"big": torch.zeros(1 << 20)})
    assert same(read_state_dict(file), state)
    assert os.listdir(tmp_path) == ["net.safetensors"]
