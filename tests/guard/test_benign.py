"""Honest files of other tools, none of which may be refused: more than 300, counted by what made them."""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scirs_neural.core.errors import ScirsError
from scirs_neural.data.image.image_file import load_image
from scirs_neural.guard import open_archive, read_checkpoint, read_json, read_state_dict, read_tokenizer, read_yaml
from scirs_neural.guard.arrays import read_arrays
from scirs_neural.guard.onnx import read_onnx
from scirs_neural.serialization.describe import describe_file
from scirs_neural.serialization.sources import read_source

Files = Iterator[tuple[Path, Callable[[Path], Any]]]
ROOT = Path(__file__).parents[2]


def torch_values(folder: Path) -> Files:
    """Every dtype and container, in both formats of torch.save."""
    whole = torch.arange(24.0).reshape(2, 3, 4)
    held: dict[str, Any] = {
        str(dtype): torch.zeros(3).to(dtype)
        for dtype in (
            torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16, torch.int32,
            torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.uint16, torch.uint32,
            torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2,
        )
    }  # fmt: skip
    held |= {
        "view": whole[1, :, ::2], "turned": whole.transpose(0, 2), "expanded": torch.ones(1).expand(9),
        "empty": torch.empty(0, 3), "scalar": torch.tensor(1.0), "grad": torch.ones(2, requires_grad=True),
        "parameter": nn.Parameter(torch.ones(2)), "buffer": nn.Buffer(torch.ones(2)),
        "tied": {"a": whole, "b": whole}, "channels last": torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "rng": torch.get_rng_state(), "tuple": (whole, [whole]), "numbers": {1: 2.5, "x": [None, True, 1 << 40]},
        "texts": {"e": "\u00e9\u4e2d", "bytes": b"\x00\xff", "long": "x" * 70_000}, "size": whole.shape,
        "infinite": {"inf": float("inf"), "nan": float("nan")}, "sparse": torch.eye(3).to_sparse(),
        "many": {f"layer.{i}.weight": torch.zeros(1) for i in range(500)},
    }  # fmt: skip
    for number, (name, value) in enumerate(held.items()):
        for zipped in (True, False):
            if (not zipped and name in ("torch.uint16", "torch.uint32", "torch.uint64")) or (
                "float8" in name and not zipped
            ):
                continue  # torch's old format does not know them
            path = folder / f"{number}{zipped}.pt"
            torch.save({"value": value}, path, _use_new_zipfile_serialization=zipped)
            yield path, read_checkpoint


def torch_optimizers(folder: Path) -> Files:
    """Every optimizer and several schedules, after a step."""
    kinds = [kind for _, kind in inspect.getmembers(torch.optim, inspect.isclass) if kind is not torch.optim.Optimizer]
    for kind in kinds:
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        is_sparse = kind is torch.optim.SparseAdam
        net = nn.Sequential(nn.Embedding(5, 2, sparse=True)) if is_sparse else net
        given = [p for p in net.parameters() if p.dim() == 2] if kind.__name__ == "Muon" else list(net.parameters())
        optimizer = kind(given, lr=0.1)

        def closure(net: nn.Module = net, is_sparse: bool = is_sparse) -> Any:
            loss = net(torch.tensor([1, 2]) if is_sparse else torch.ones(4, 3)).sum()
            loss.backward()
            return loss

        optimizer.step(closure) if kind is torch.optim.LBFGS else (closure(), optimizer.step())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
        for zipped in (True, False):
            path = folder / f"{kind.__name__}{zipped}.ckpt"
            state = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            torch.save({**state, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
            yield path, read_checkpoint


def torchvision_states(folder: Path, names: list[str]) -> Files:
    """The tensors of torchvision's networks by name and dtype, cut to two numbers a dimension."""
    from safetensors.torch import save_file
    from torchvision.models import get_model, get_model_builder

    for name in names:
        backbone = {"weights_backbone"} & inspect.signature(get_model_builder(name)).parameters.keys()
        try:
            with torch.device("meta"):
                model = get_model(name, weights=None, **dict.fromkeys(backbone))
        except NotImplementedError:  # one that looks at its numbers while it is made
            model = get_model(name, weights=None, **dict.fromkeys(backbone))
        state = {
            key: torch.zeros([min(size, 2) for size in held.shape], dtype=held.dtype)
            for key, held in model.state_dict().items()
        }
        torch.save(state, folder / f"{name}.pth")
        yield folder / f"{name}.pth", read_state_dict
        save_file(state, folder / f"{name}.safetensors", metadata={"format": "pt"})
        yield folder / f"{name}.safetensors", read_state_dict


def lightning_checkpoints(folder: Path) -> Files:
    """Checkpoints of plain Lightning: hyperparameters, callbacks, several optimizers."""
    import lightning.pytorch as L

    class Net(L.LightningModule):
        def __init__(self, width: int, names: Any = ("a", "b"), options: Any = None) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = nn.Linear(2, width)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch).sum()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    for width in (1, 2, 3):
        trainer = L.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[L.callbacks.EarlyStopping("loss", patience=3)],
        )  # fmt: skip
        loader = torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=2)
        trainer.fit(Net(width, options={"lr": 0.1, "betas": [0.9, 0.99]}), loader)
        trainer.save_checkpoint(folder / f"{width}.ckpt")
        yield folder / f"{width}.ckpt", read_checkpoint
        yield folder / f"{width}.ckpt", read_state_dict
        trainer.save_checkpoint(folder / f"{width}-weights.ckpt", weights_only=True)
        yield folder / f"{width}-weights.ckpt", read_state_dict


def timm_files(folder: Path) -> Files:
    """What timm saves: training checkpoints with the command line in them, averaged weights, folders for the hub."""
    import argparse

    import timm
    from timm.models import save_for_hf
    from timm.optim import create_optimizer_v2
    from timm.utils import CheckpointSaver, ModelEmaV3

    for number, name in enumerate(("test_resnet", "test_vit", "test_efficientnet", "test_convnext")):
        net = timm.create_model(name, num_classes=3)
        optimizer = create_optimizer_v2(net, opt=("sgd", "adamw", "lamb", "lion")[number], lr=0.1)
        for held in net.parameters():
            held.grad = torch.zeros_like(held)
        optimizer.step()
        args = argparse.Namespace(model=name, lr=0.1, betas=(0.9, 0.99), mean=None, sched={"epochs": [1, 2]})
        place = folder / name
        place.mkdir()
        saver = CheckpointSaver(
            net, optimizer, args=args, model_ema=ModelEmaV3(net), amp_scaler=None,
            checkpoint_dir=str(place), recovery_dir=str(place),
        )  # fmt: skip
        saver.save_checkpoint(1, metric=0.5)
        saver.save_recovery(1, batch_idx=3)
        for path in sorted(place.glob("*.pth.tar")):
            yield path, read_checkpoint
            yield path, read_state_dict
        torch.save(net.state_dict(), place / "weights.pth")
        yield place / "weights.pth", read_state_dict
        save_for_hf(net, place / "hub", safe_serialization="both")
        yield place / "hub" / "config.json", read_json
        yield place / "hub" / "pytorch_model.bin", read_state_dict
        yield place / "hub", read_source
        save_for_hf(net, place / "old hub", safe_serialization=False)
        yield place / "old hub", read_source


def transformers_files(folder: Path) -> Files:
    """Folders of ``save_pretrained``: whole and in pieces, in several dtypes, with settings of generation."""
    import transformers as t

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    text = {**small, "vocab_size": 20}
    made = {
        "bert": t.BertForSequenceClassification(t.BertConfig(**text, max_position_embeddings=8)),
        "gpt2": t.GPT2LMHeadModel(t.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)),
        "t5": t.T5ForConditionalGeneration(
            t.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        ),
        "llama": t.LlamaForCausalLM(t.LlamaConfig(**text, num_key_value_heads=1)),
        "vit": t.ViTForImageClassification(t.ViTConfig(**small, image_size=8, patch_size=4)),
        "resnet": t.ResNetForImageClassification(t.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1])),
    }  # fmt: skip
    for name, net in made.items():
        for kind, options in {"whole": {}, "pieces": {"max_shard_size": "2KB"}}.items():
            place = folder / f"{name} {kind}"
            (net.half() if kind == "pieces" else net).save_pretrained(place, **options)
            for path in sorted(place.iterdir()):
                yield path, read_state_dict if path.suffix == ".safetensors" else read_json
            yield place, read_source
            yield place, _described
        torch.save(net.state_dict(), folder / f"{name}.bin")
        yield folder / f"{name}.bin", read_state_dict
    yield from _processors(folder)


def _processors(folder: Path) -> Files:
    """Tokenizers of every kind that the library trains, and settings for pictures."""
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    corpus = ["the cat sat on the mat", "\u00e9t\u00e9 \u4e2d\u6587 \U0001f600", "a b c"] * 3
    kinds = {
        "bpe": (models.BPE(unk_token="?"), trainers.BpeTrainer),
        "unigram": (models.Unigram(), trainers.UnigramTrainer),
        "words": (models.WordLevel(unk_token="?"), trainers.WordLevelTrainer),
        "pieces": (models.WordPiece(unk_token="?"), trainers.WordPieceTrainer),
    }
    for name, (model, trainer) in kinds.items():
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace() if name != "bpe" else pre_tokenizers.ByteLevel()
        tokenizer.train_from_iterator(corpus, trainer(vocab_size=300, special_tokens=["?", "<s>"], show_progress=False))
        place = folder / name
        t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", bos_token="<s>").save_pretrained(place)
        model = tokenizer.model.save(str(place))  # vocab.json and merges.txt, or vocab.txt
        for path in sorted(place.iterdir()):
            yield path, read_json if path.suffix == ".json" else _text
        yield place, read_tokenizer
    t.ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder / "pictures")
    yield folder / "pictures" / "preprocessor_config.json", read_json


def _described(path: Path) -> None:
    found = describe_file(path)
    assert found.tensors
    if found.refused:
        raise AssertionError(found.refused)


def _text(path: Path) -> None:
    assert path.name in read_tokenizer(path.parent)


def safetensors_files(folder: Path) -> Files:
    from safetensors.numpy import save_file as save_arrays
    from safetensors.torch import save_file

    for dtype in (
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.int64,
        torch.bool,
        torch.float8_e4m3fn,
        torch.uint8,
    ):
        for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4)):
            path = folder / f"{dtype}{shape}.safetensors"
            save_file({"a": torch.zeros(shape).to(dtype), "\u00e9 b": torch.zeros(1)}, path, metadata={"x": "y"})
            yield path, read_state_dict
    for kind in (np.float32, np.int8, np.uint64):
        save_arrays({"a": np.zeros((2, 2), kind)}, folder / f"{kind.__name__}.safetensors")
        yield folder / f"{kind.__name__}.safetensors", read_state_dict
    save_file({}, folder / "none.safetensors")


def onnx_files(folder: Path) -> Files:
    """The graphs in onnx's own package."""
    import onnx

    for path in sorted((Path(onnx.__file__).parent / "backend/test/data").rglob("*.onnx")):
        yield path, read_onnx


def onnx_exports(folder: Path) -> Files:
    """Exports by torch, with their data inside and outside."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    for outside in (True, False):
        path = folder / f"{outside}.onnx"
        torch.onnx.export(net, (torch.ones(1, 1, 8, 8),), path, dynamo=True, external_data=outside, verbose=False)
        yield path, read_onnx


def pictures(folder: Path) -> Files:
    import matplotlib
    from sklearn.datasets import load_sample_images

    samples = Path(inspect.getfile(load_sample_images)).parent / "images"
    for path in [*samples.glob("*.jpg"), *Path(matplotlib.get_data_path()).rglob("*.png")]:
        yield path, load_image
    noise = Image.effect_noise((40, 30), 80)
    for form in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"):
        for mode in ("L", "RGB", "1", "P", "RGBA", "CMYK"):
            path = folder / f"{mode}.{form.lower()}"
            try:
                noise.convert("RGB").convert(mode).save(path, form)
            except (OSError, ValueError, KeyError):
                continue  # not every format has every mode
            yield path, load_image
    Image.new("RGB", (3000, 2000)).save(folder / "black.png")  # which compresses a thousandfold
    yield folder / "black.png", load_image


def texts(folder: Path) -> Files:
    """Every YAML and JSON file of this repository and of the packages that it uses."""
    for path in [
        *ROOT.glob("configs/**/*.yaml"),
        *ROOT.glob("scirs_neural/**/*.json"),
        *ROOT.glob("recipes/**/*.yaml"),
    ]:
        yield path, read_yaml if path.suffix == ".yaml" else read_json
    words = {f"word{i}\u0120": i for i in range(50_000)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words, "merges": [["a", "b"]] * 20_000}}))
    yield folder / "tokenizer.json", read_json


def archives(folder: Path) -> Files:
    import shutil

    for number in range(3):
        (folder / "home" / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "home" / f"{number} \u00e9.txt").write_text("text\n" * 500)
        (folder / "home" / "deep" / f"{number}.bin").write_bytes(bytes(range(256)))
        made = Path(shutil.make_archive(str(folder / f"made{number}"), "zip", folder / "home"))
        yield made, _read_all
        yield folder / "home", _read_all
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for wide in (True, False):
            path = folder / f"{method}{wide}.zip"
            _write_zip(path, method, wide)
            yield path, _read_all
            stream = io.BytesIO()
            _write_zip(_Unseekable(stream), method, wide)
            (folder / f"stream{path.name}").write_bytes(stream.getvalue())
            yield folder / f"stream{path.name}", _read_all
    for save in (np.savez, np.savez_compressed):
        for number, value in enumerate((np.arange(5), np.array(["a", "\u00e9"]), np.zeros((0, 3)), np.eye(3) > 0)):
            path = folder / f"{save.__name__}{number}.npz"
            save(path, ids=value, order=np.asfortranarray(np.eye(2)))
            yield path, lambda path: read_arrays(path, ["ids", "order"])


def _write_zip(target: Any, method: int, wide: bool) -> None:
    with zipfile.ZipFile(target, "w", method) as made, made.open("a/b", "w", force_zip64=wide) as member:
        member.write(b"content" * 99)


class _Unseekable:
    """A pipe: a zip written to it has its sizes behind the members."""

    def __init__(self, inner: io.BytesIO) -> None:
        self.inner = inner

    def write(self, content: bytes) -> int:
        return self.inner.write(content)

    def flush(self) -> None:
        pass


def _read_all(path: Path) -> None:
    with open_archive(path) as opened:
        for name in opened.names:
            assert len(opened.read(name)) == opened.size(name)


SMALL = ["resnet18", "mobilenet_v3_small", "vit_b_16", "squeezenet1_1", "convnext_tiny", "swin_t", "efficientnet_b0"]
MAKERS: dict[str, Callable[[Path], Files]] = {
    "torch values": torch_values, "torch optimizers": torch_optimizers,
    "torchvision": lambda folder: torchvision_states(folder, SMALL), "lightning": lightning_checkpoints,
    "timm": timm_files, "transformers": transformers_files,
    "safetensors": safetensors_files, "onnx": onnx_files, "pictures": pictures, "texts": texts, "archives": archives,
}  # fmt: skip


def refused(files: Files) -> tuple[int, list[str]]:
    """How many files there were, and which were refused."""
    count, found = 0, []
    for path, reader in files:
        count += 1
        try:
            reader(path)
        except ScirsError as error:
            found.append(f"{path.name}: {error}")
    return count, found


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """How many files there were of each maker."""
    return {}


@pytest.mark.feature(108)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("maker", MAKERS)
def test_no_honest_file_is_refused(maker: str, tmp_path: Path, counts: dict[str, int]) -> None:
    counts[maker], wrong = refused(MAKERS[maker](tmp_path))
    assert wrong == []
    assert counts[maker] >= 5


def test_there_were_more_than_three_hundred_honest_files(counts: dict[str, int]) -> None:
    if counts.keys() < MAKERS.keys():
        pytest.skip("not all of them were opened")
    assert sum(counts.values()) >= 500, counts


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_state_of_any_torchvision_network_is_refused_and_no_export(tmp_path: Path) -> None:
    from torchvision.models import list_models

    assert refused(onnx_exports(tmp_path)) == (2, [])
    count, wrong = refused(torchvision_states(tmp_path, list_models()))
    assert wrong == []
    assert count >= 200
