"""Nothing reads files of others but `guard/`: found by reading every module, not by trusting it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scirs_neural"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "guard")

READERS = {
    "torch.load", "torch.jit.load", "torch.export.load", "torch.hub.load", "torch.package.PackageImporter",
    "yaml.load", "yaml.safe_load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "yaml.safe_load_all",
    "yaml.compose", "yaml.parse", "yaml.scan", "json.load", "json.loads", "json.JSONDecoder", "tomllib.load",
    "numpy.load", "numpy.fromfile", "numpy.memmap", "PIL.Image.open", "torchvision.io", "cv2.imread",
    "omegaconf.OmegaConf.load", "hydra.utils.instantiate", "onnx.load", "onnx.load_model", "onnx.load_from_string",
    "onnx.external_data_helper", "safetensors.safe_open", "safetensors.torch.load_file", "safetensors.torch.load",
    "safetensors.numpy.load_file", "safetensors.deserialize", "shutil.unpack_archive",
    "torch.distributed.checkpoint.load", "torch.distributed.checkpoint.HuggingFaceStorageReader",
    "torch.distributed.checkpoint.FileSystemReader",
    "builtins.eval", "builtins.exec", "builtins.compile",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "zipfile", "tarfile", "h5py"}

# Module to what it may use, and why that is no way in.
REASONS = {
    "builder/model.py": {
        "builtins.exec": "runs code that it wrote itself from checked names and numbers; test_attacks tries to get in",
        "builtins.compile": "the same code",
    },
    "builder/operations.py": {"builtins.eval": "the same code, one expression of it"},
    "config/origin.py": {
        "yaml.compose": "looks up the line of a key in a file that was read already, builds no values"
    },
    "config/tree.py": {"yaml.load": "the user's own configuration tree, with the loader that Hydra reads it with"},
    "runs/answer_files.py": {"yaml.safe_load": "a value that the user typed after --set"},
    "layers/declared_capabilities.py": {"json.loads": "the table is a part of the package itself"},
    "serialization/convert.py": {
        "torch.load": "compares what it wrote itself a moment ago, with weights_only=True",
        "safetensors.torch.load_file": "compares what it wrote itself a moment ago",
    },
    "serialization/exporting.py": {"torch.export.load": "compares what it wrote itself a moment ago"},
    "models/catalog.py": {"json.loads": "the catalogue is a part of the package itself"},
}


def uses(source: str) -> set[str]:
    """Every dotted name in a module, with what its imports call it written out."""
    tree = ast.parse(source)
    names = {"eval": "builtins.eval", "exec": "builtins.exec", "compile": "builtins.compile"}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    for node in ast.walk(tree):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(".".join([names.get(node.id, f"<local>.{node.id}"), *parts]))
    return found


def ways_in(source: str) -> set[str]:
    """What a module uses that reads files of others."""
    return {
        reader
        for name in uses(source)
        for reader in READERS | MODULES
        if name == reader or name.startswith(reader + ".")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_guard_reads_files_of_others(path: Path) -> None:
    allowed = REASONS.get(path.relative_to(PACKAGE).as_posix(), {})
    assert ways_in(path.read_text()) - allowed.keys() == set(), "read it through scirs_neural.guard"


def test_every_exception_is_needed() -> None:
    for name, reasons in REASONS.items():
        assert reasons.keys() <= ways_in((PACKAGE / name).read_text())


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x')", "from torch import load as l\nl('x')", "import numpy as np\nnp.load('x')",
        "def f():\n    import pickle", "from PIL import Image\nImage.open('x')", "import yaml as y\ny.safe_load('x')",
        "from omegaconf import OmegaConf as O\nO.load('x')", "from zipfile import ZipFile", "eval('1')",
        "import json\nread = json.loads", "import hydra\nhydra.utils.instantiate({})",
        "import PIL.Image\nPIL.Image.open(1)",
    ],
)  # fmt: skip
def test_the_check_sees_a_way_in(source: str) -> None:
    assert ways_in(source)


def test_the_check_sees_no_way_in_where_there_is_none() -> None:
    assert not ways_in("import json, re\njson.dumps({})\nload = re.compile('x')\nmodel.compile()\nself.load('x')")
