"""What a model file is, by its bytes and not by its name. Nothing is executed, and torch is not needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from scirs_neural.core.errors import CheckpointError, RefusedError, StorageError
from scirs_neural.core.paths import storage_errors
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.zip_index import Member, read_index, read_member
from scirs_neural.serialization.schema import MANIFEST

TITLES = {
    "package": "a package of scirs_neural (docs/format.md)",
    "run": "a run folder of scirs_neural",
    "huggingface": "a model folder in the form of Hugging Face",
    "safetensors": "tensors in the form of safetensors",
    "lightning": "a checkpoint of Lightning, in a file of torch.save",
    "torch": "a file of torch.save",
    "torch-stream": "a file of torch.save in the form before torch 1.6",
    "torchscript": "a TorchScript program: it holds code",
    "torch-export": "a program of torch.export",
    "aotinductor": "a program compiled by AOTInductor: it holds machine code",
    "onnx": "an ONNX graph",
    "gguf": "tensors in the form of GGUF",
    "keras": "a Keras 3 model",
    "hdf5": "an HDF5 file, as Keras 2 wrote them",
    "numpy": "one array of NumPy",
    "npz": "arrays of NumPy, in a zip",
    "tflite": "a TensorFlow Lite graph",
    "executorch": "an ExecuTorch program",
    "pickle": "a bare pickle: reading it can run anything",
    "zip": "a zip file of something else",
    "folder": "a folder of something else",
    "unknown": "nothing that is known here",
}
_LIGHTNING = (b"pytorch-lightning_version", b"state_dict")
_STREAM = re.compile(rb"\x80[\x02\x03]\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)  # torch's magic number, pickled
_ONNX_SECOND_FIELD = b"\x12\x1a\x22\x28\x32\x3a\x42"  # after a version of one byte: any of ModelProto's next fields
_SEAL_BYTES = 27  # of the checksum that this package puts behind its own checkpoints

_HEADS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("gguf", lambda head: head.startswith(b"GGUF")),
    ("hdf5", lambda head: head.startswith(b"\x89HDF\r\n\x1a\n")),
    ("numpy", lambda head: head.startswith(b"\x93NUMPY")),
    ("tflite", lambda head: head[4:8] == b"TFL3"),
    ("executorch", lambda head: head[4:6] == b"ET" and head[6:8].isdigit()),
    ("torch-stream", lambda head: _STREAM.match(head) is not None),
    ("safetensors", lambda head: head[8:10] == b'{"' and 2 <= int.from_bytes(head[:8], "little") < 2**32),
    ("pickle", lambda head: head[:1] == b"\x80" and 2 <= head[1] <= 5),
    ("onnx", lambda head: len(head) > 3 and head[0] == 8 and head[1] < 128 and head[2:3] in _ONNX_SECOND_FIELD),
)  # fmt: skip


def identify(path: str | Path) -> str:
    """The kind of a model file or folder: a key of `TITLES`.

    Raises:
        CheckpointError: there is no such file.
        StorageError: it may not be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "weights.pt"
        >>> _ = file.write_bytes(b"GGUF" + bytes(20))
        >>> identify(file)
        'gguf'
    """
    path = Path(path).expanduser()
    with storage_errors(path, "read"):
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise CheckpointError(f"no such file: {path}")
        with open(path, "rb") as file:
            head = file.read(32)
        if head.startswith(b"PK"):
            return _zip(path)
        return next((kind for kind, fits in _HEADS if fits(head)), "unknown")


def check_target(target: Path, kind: str) -> None:
    """Make sure that a file is overwritten by one of its own kind only.

    Args:
        target: what will be written.
        kind: of it: a key of `TITLES`.

    Raises:
        StorageError: something else stands there, or a damaged file.
    """
    if not target.is_file() or not target.stat().st_size:
        return
    try:
        found = TITLES[identify(target)]
        if identify(target) == kind:
            return
    except CheckpointError:
        found = "a damaged file"
    raise StorageError(
        f"will not overwrite {target}: it is {found}, not {TITLES[kind]}", fix="choose another name, or remove it"
    )


def zip_members(path: Path) -> dict[str, Member]:
    """The members of a zip file, whatever it is; nothing is unpacked.

    Raises:
        RefusedError: it is damaged or dishonest.
    """
    refused: list[RefusedError] = []
    with open(path, "rb") as file:
        for comment in (0, _SEAL_BYTES):
            try:
                return read_index(
                    file, str(path), max_members=BUDGETS.torch_members, max_inflated=BUDGETS.archive_bytes,
                    any_names=True, comment=comment,
                )  # fmt: skip
            except RefusedError as error:
                refused.append(error)
    raise refused[0]


def zip_bytes(path: Path, member: Member, limit: int = BUDGETS.read_bytes) -> bytes:
    """The content of one member.

    Raises:
        RefusedError: it is damaged, or larger than the limit.
    """
    if member.size > limit:
        raise RefusedError(f"refused: a member has more than {limit:,} bytes", where=str(path))
    with open(path, "rb") as file:
        return b"".join(read_member(file, member, str(path)))


def _folder(path: Path) -> str:
    if (path / MANIFEST).is_file():
        return "package"
    if (path / "config.json").is_file():
        return "huggingface"
    if (path / "config.yaml").is_file():
        return "run"
    return "folder"


def _zip(path: Path) -> str:
    members = zip_members(path)
    if MANIFEST in members:
        return "package"
    inside = {name.partition("/")[2] for name in members}
    if any(name.startswith("data/aotinductor/") for name in inside):
        return "aotinductor"
    if "archive_format" in inside or "serialized_exported_program.json" in members:
        return "torch-export"
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        return "torchscript"
    if "data.pkl" in inside:
        return "lightning" if _is_lightning(path, members) else "torch"
    if {"config.json", "metadata.json"} <= members.keys():
        return "keras"
    return "npz" if members and all(name.endswith(".npy") for name in members) else "zip"


def _is_lightning(path: Path, members: dict[str, Member]) -> bool:
    pickled = next(member for name, member in members.items() if name.partition("/")[2] == "data.pkl")
    if pickled.size > BUDGETS.read_bytes:
        return False
    content = zip_bytes(path, pickled)
    return all(word in content for word in _LIGHTNING)
