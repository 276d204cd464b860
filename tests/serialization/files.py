"""One network in every format that is read, each written by the library that owns the format."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from scirs_neural.serialization import save_package
from tests.serialization.nets import net

NETWORK = {"model": "cnn", "options": {"num_classes": 3, "depth": 2, "width": 4}, "input_shape": (1, 8, 8)}


class Project(L.LightningModule):
    """What a plain Lightning project has: a network under an attribute, and its hyper-parameters."""

    def __init__(self, lr: float = 0.1, sizes: tuple[int, ...] = (3, 4), where: Any = Path("data")) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net, _ = net("zoo-cnn")

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return self.net(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def write_all(folder: Path) -> tuple[dict[str, Path], Tensor, Tensor]:
    """By kind: a file; then an input and the network's output."""
    model, x = net("zoo-cnn")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    files = {
        "package": folder / "net.zip", "safetensors": folder / "net.safetensors", "torch": folder / "net.pth",
        "torch-stream": folder / "old.pt", "lightning": folder / "net.ckpt", "huggingface": folder / "hf",
        "torch-export": folder / "net.pt2",
    }  # fmt: skip
    save_package(files["package"], model)
    save_file(state, files["safetensors"])
    torch.save(state, files["torch"])
    torch.save({"model_state_dict": state, "epoch": 3}, files["torch-stream"], _use_new_zipfile_serialization=False)
    _write_lightning(files["lightning"], x)
    _write_huggingface(files["huggingface"], state)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, files["torch-export"])
    with torch.no_grad():
        return files, x, model(x)


def _write_lightning(path: Path, x: Tensor) -> None:
    with warnings.catch_warnings(action="ignore"):
        trainer = L.Trainer(
            max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu",
        )  # fmt: skip
        project = Project(where="data").eval()  # its statistics stay as they are
        trainer.fit(project, torch.utils.data.DataLoader(x, batch_size=2))
        trainer.save_checkpoint(path)


def _write_huggingface(folder: Path, state: dict[str, Tensor]) -> None:
    """In two pieces, as large models come."""
    folder.mkdir()
    names = sorted(state)
    pieces = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, held in pieces.items():
        save_file({name: state[name] for name in held}, folder / file, metadata={"format": "pt"})
    table = {name: file for file, held in pieces.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    (folder / "config.json").write_text(json.dumps({"architectures": ["Net"], "model_type": "net", "depth": 2}))


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and torch.equal(one[k], other[k]) for k in one
    )


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(x)
