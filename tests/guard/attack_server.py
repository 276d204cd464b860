"""Opens the files of the attack corpus, in forks of a process of its own, and says what happened: JSON, a line a case.

``python -m tests.guard.attack_server FOLDER [FAMILY …]`` makes the files below FOLDER and opens them. Everything that
a reader needs is loaded before; then, for every family, a fork with limits opens its files under an audit hook. A line
holds the family, the name, the outcome ("refused" by a typed error, "taken", or another error's name), the CPU seconds
and MiB that it took, and what it did that a reader has no business to do: writing, connecting, starting processes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guard import attacks

CPU_LIMIT_SEC, WAITING_LIMIT_SEC = 10, 120  # of one file, then the process ends
MEMORY_LIMIT_BYTES = 4 << 30  # of address space beyond what is there: what is used is measured
FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen",
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.", "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "ctypes.dlopen", "pty.spawn", "webbrowser.open",
    "pickle.find_class", "marshal.", "os.putenv", "sqlite3.", "code.__new__",
)  # fmt: skip


def readers() -> dict[str, Callable[[Path], Any]]:
    """What opens a file of each kind, with everything imported that it needs."""
    import scirs_neural as sn  # noqa: F401
    from scirs_neural.builder.files import load_model_file
    from scirs_neural.config.compose import Request, load_config
    from scirs_neural.data.image.image_file import load_image
    from scirs_neural.evaluation.registry import load_predictions
    from scirs_neural.guard import open_archive, read_json, read_state_dict, read_yaml
    from scirs_neural.guard.arrays import read_arrays
    from scirs_neural.guard.onnx import read_onnx
    from scirs_neural.guard.tokenizer import read_tokenizer
    from scirs_neural.runs.groups import config_groups
    from scirs_neural.serialization import load_package
    from scirs_neural.serialization.sources import read_source
    from scirs_neural.training.checkpoint_io import read_checkpoint

    groups = config_groups()

    def archive(path: Path) -> None:
        with open_archive(path) as opened:
            for name in opened.names:
                for _ in opened.pieces(name):
                    pass

    return {
        "state_dict": read_state_dict, "checkpoint": read_checkpoint, "archive": archive, "json": read_json,
        "yaml": read_yaml, "config": lambda path: load_config(Request((), config_file=path), groups),
        "network": lambda path: load_model_file(path, num_classes=3), "onnx": read_onnx, "image": load_image,
        "arrays": lambda path: read_arrays(path, ["ids"]), "package": load_package,
        "tokenizer": read_tokenizer, "source": read_source, "predictions": load_predictions,
    }  # fmt: skip


def warm(kinds: dict[str, Callable[[Path], Any]], folder: Path) -> None:
    """Open something honest and something broken with every reader, so that nothing is loaded while it is measured."""
    import numpy as np
    import torch
    from PIL import Image

    torch.save({"w": torch.ones(1)}, folder / "warm.pt")
    torch.save({"w": torch.ones(1)}, folder / "warm old.pt", _use_new_zipfile_serialization=False)
    np.savez(folder / "warm.npz", ids=[1])
    Image.init()
    Image.new("RGB", (1, 1)).save(folder / "warm.png")
    (folder / "warm.onnx").write_bytes(attacks.graph().SerializeToString())
    (folder / "warm.json").write_text('{"input_shape": [3], "layers": [{"linear": 3}]}')
    (folder / "warm.yaml").write_text("a: 1\nmodel: {name: cn, x: 1}")
    (folder / "warm.safetensors").write_bytes(attacks.tensor_file(attacks.one(), bytes(8)))
    for reader in kinds.values():
        for path in sorted(folder.iterdir()):
            try:
                reader(path)
            except Exception:
                continue


def attempt(open_it: Callable[[Path], Any], path: Path, did: list[str]) -> dict[str, Any]:
    """Open one file in this process and describe what happened."""
    from scirs_neural.core.errors import ManyErrors, ScirsError

    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _status("VmRSS")
    did.clear()
    start = time.process_time()
    try:
        open_it(path)
        outcome, said = "taken", ""
    except ScirsError as error:
        outcome, said = "refused", str(error)
        if len(error.render().splitlines()) > 6 and not isinstance(error, ManyErrors):
            outcome = "refused in more than six lines"
    except BaseException as error:  # whatever comes out is what is to be known
        outcome, said = type(error).__name__, traceback.format_exc()[-600:]
    seconds = time.process_time() - start
    return {"outcome": outcome, "sec": seconds, "mib": _status("VmHWM") - before, "did": list(did), "said": said}


def _writes(args: tuple[Any, ...]) -> bool:
    flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
    is_null = args[0] == os.devnull
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)) and not is_null


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def in_a_fork(
    open_it: Callable[[Path], Any], paths: list[Path], folder: Path, memory_bytes: int | None = None
) -> list[dict[str, Any]]:
    """What `attempt` says of each file, from a process with limits; fewer if one of them killed it."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory_bytes is not None:
            there_is = int(_status("VmSize") * 2**20)
            resource.setrlimit(resource.RLIMIT_AS, (there_is + memory_bytes, there_is + memory_bytes))
        did: list[str] = []

        def watch(event: str, args: tuple[Any, ...]) -> None:
            if event.startswith(FORBIDDEN) or (event == "open" and _writes(args)):
                did.append(f"{event} {str(args)[:100]}")

        sys.addaudithook(watch)
        there = snapshot(folder)
        with os.fdopen(write, "w") as pipe:
            for path in paths:
                resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_LIMIT_SEC, -1))
                signal.alarm(WAITING_LIMIT_SEC)  # for one that waits for ever, such as on a pipe
                found = attempt(open_it, path, did)
                now = snapshot(folder)
                if now != there:
                    found["did"].append(f"changed {sorted(set(now.items()) ^ set(there.items()))[:3]}")
                    there = now
                pipe.write(json.dumps(found) + "\n")
                pipe.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = [json.loads(line) for line in pipe]
    os.waitpid(child, 0)
    return said


def snapshot(folder: Path) -> dict[str, int]:
    """Every file below a folder and its size."""
    return {str(path.relative_to(folder)): path.lstat().st_size for path in folder.rglob("*")}


def main() -> None:
    """Make the corpus, open it, print."""
    warnings.simplefilter("ignore")
    root = Path(sys.argv[1])
    chosen = sys.argv[2:] or list(attacks.FAMILIES)
    kinds = readers()
    (root / "warm").mkdir(parents=True)
    warm(kinds, root / "warm")
    for name in chosen:
        reader, make = attacks.FAMILIES[name]
        folder = root / "".join(letter if letter.isalnum() else "_" for letter in name)
        folder.mkdir()
        cases = list(make(folder))
        while cases:
            said = in_a_fork(kinds[reader], [path for _, path in cases], folder, MEMORY_LIMIT_BYTES)
            if len(said) < len(cases):
                said.append({"outcome": "killed", "sec": float(CPU_LIMIT_SEC), "mib": 0.0, "did": [], "said": ""})
            for (case, _), found in zip(cases, said, strict=False):
                print(json.dumps({"family": name, "name": case, "reader": reader, **found}), flush=True)
            cases = cases[len(said) :]


if __name__ == "__main__":
    main()
