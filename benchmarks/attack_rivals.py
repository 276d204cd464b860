"""The attack corpus of the tests, opened by others' loaders: the table of docs/security.md.

    python -m benchmarks.attack_rivals

It writes the table into that page. Every loader opens the files of its kind, each family in a fork with 4 GiB of
memory and 2 s of CPU time a file; what the files run is ``touch canary``. A case counts as harm where the loader ran a
call of the file (the canary is there, or an audit hook saw a process or a socket), took more than a second of CPU time
or 200 MiB, or gave something back. The versions that are installed are tried; what is not installed is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.guard import attack_server, attacks

Loader = Callable[[Path], Any]
PAGE = Path(__file__).parents[1] / "docs" / "security.md"


def loaders() -> dict[str, tuple[str, dict[str, Loader]]]:
    """By name: the package whose version counts, and what opens each kind of file."""
    import lightning.pytorch as L
    import numpy as np
    import onnx
    import timm
    import torch
    import torchvision
    import transformers
    import yaml
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from PIL import Image
    from safetensors.torch import load_file

    def weights(**options: Any) -> Loader:
        def load(path: Path) -> Any:
            return load_file(path) if path.suffix == ".safetensors" else torch.load(path, **options)

        return load

    def hydra_config(path: Path) -> Any:
        return instantiate(OmegaConf.load(path))

    def unzip(path: Path) -> None:
        import zipfile

        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as opened:
            opened.extractall(folder)

    def lightning(path: Path) -> Any:
        return L.LightningModule.load_from_checkpoint(path)

    def picture(path: Path) -> Any:
        with Image.open(path) as opened:
            opened.load()

    def tokenizer(path: Path) -> Any:
        file = path / "tokenizer.json"
        return transformers.PreTrainedTokenizerFast(tokenizer_file=str(file)) if file.exists() else _skip()

    def program(path: Path) -> Any:
        return torch.export.load(path) if path.suffix == ".pt2" else _skip()

    def of_timm(path: Path) -> Any:
        return timm.models.load_state_dict(str(path))

    safe, unsafe = weights(weights_only=True), weights(weights_only=False)
    return {
        "torch.load, weights_only=False": ("torch", {"state_dict": unsafe, "checkpoint": unsafe}),
        "torch.load; safetensors load_file": ("torch", {"state_dict": safe, "checkpoint": safe}),
        "timm.models.load_state_dict": ("timm", {"state_dict": of_timm}),
        "torch.export.load": ("torch", {"source": program}),
        "transformers PreTrainedTokenizerFast": ("transformers", {"tokenizer": tokenizer}),
        "LightningModule.load_from_checkpoint": ("lightning", {"checkpoint": lightning}),
        "hydra instantiate(OmegaConf.load)": ("hydra-core", {"config": hydra_config, "yaml": hydra_config}),
        "yaml.safe_load": ("pyyaml", {"yaml": lambda path: yaml.safe_load(path.read_bytes())}),
        "json.load": ("Python", {"json": lambda path: json.loads(path.read_bytes())}),
        "onnx.load": ("onnx", {"onnx": lambda path: onnx.load(path)}),
        "Pillow": ("pillow", {"image": picture}),
        "torchvision.io.decode_image": ("torchvision", {"image": lambda path: torchvision.io.decode_image(str(path))}),
        "numpy.load": ("numpy", {"arrays": lambda path: np.load(path)["ids"]}),
        "zipfile extractall": ("Python", {"archive": unzip}),
    }


class _OfAnotherKindError(Exception):
    """Not a file that a loader opens."""


def _skip() -> None:
    raise _OfAnotherKindError


def is_harm(case: dict[str, Any], kind: str) -> str:
    """What a loader let happen; nothing where it refused soon."""
    started = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess", "socket")
    writes = () if kind == "archive" else ("open", "changed")  # unpacking writes, and files may be called canary
    if any(did.startswith(started) or (did.startswith(writes) and "canary" in did) for did in case["did"]):
        return "ran"
    if case["outcome"] == "killed" or case["sec"] > 1 or case["mib"] > 200:
        return "costly"
    return "taken" if case["outcome"] == "taken" else ""


def main() -> None:
    warnings.simplefilter("ignore")
    ours = attack_server.readers()
    names = {kind: {kind: reader} for kind, reader in ours.items()}
    rows = {"scirs_neural": ("scirs-neural", {kind: reader[kind] for kind, reader in names.items()}), **loaders()}
    root = Path(tempfile.mkdtemp())
    (root / "warm").mkdir()
    attack_server.CPU_LIMIT_SEC, attack_server.WAITING_LIMIT_SEC = 2, 20
    attack_server.warm(ours, root / "warm")
    counts: dict[str, dict[str, int]] = {name: {} for name in rows}
    for number, (family, (kind, make)) in enumerate(attacks.FAMILIES.items()):
        for name, (_, readers) in rows.items():
            if kind not in readers:
                continue
            folder = root / f"{number}-{len(name)}-{abs(hash(name))}"
            folder.mkdir()
            cases = [path for _, path in make(folder)]
            while cases:
                said = attack_server.in_a_fork(readers[kind], cases, folder, 4 << 30)
                if len(said) < len(cases):
                    said.append({"outcome": "killed", "sec": 60.0, "mib": 0.0, "did": []})
                for case in said:
                    if case["outcome"] == "_OfAnotherKindError":
                        continue
                    counts[name]["files"] = counts[name].get("files", 0) + 1
                    harm = is_harm(case, kind) or "refused"
                    counts[name][harm] = counts[name].get(harm, 0) + 1
                cases = cases[len(said) :]
        print(f"{number + 1} of {len(attacks.FAMILIES)}: {family}", file=sys.stderr, flush=True)
    table = [
        "| loader | version | files | refused soon | ran a call or started a process | > 1 s or > 200 MiB | taken |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (package, _) in rows.items():
        of = counts[name]
        shown = sys.version.partition(" ")[0] if package == "Python" else version(package)
        cells = [of.get(key, 0) for key in ("files", "refused", "ran", "costly", "taken")]
        table.append(f"| {name} | {shown} | {' | '.join(map(str, cells))} |")
    before, mark, rest = PAGE.read_text().partition("<!-- rivals -->\n")
    _, end, after = rest.partition("<!-- end -->")
    PAGE.write_text(before + mark + "\n".join(table) + "\n" + end + after)
    print("\n".join(table))


if __name__ == "__main__":
    main()
