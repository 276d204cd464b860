"""Rows 73, 74, 96, 99, 102, 104: accumulation, precision, recomputed activations, compilation, memory, finders."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import scirs_neural as sn
from scirs_neural.config.schema import TrainerConfig
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.training import finders
from scirs_neural.training.compiling import compile_network, graph_breaks, repeated_blocks
from scirs_neural.training.memory import checkpoint_activations
from scirs_neural.training.precision import allow_tf32, pin_to_fp32
from tests.training.tiny import module_of

QUIET = Console(quiet=True)


def small() -> nn.Module:
    torch.manual_seed(0)
    block = lambda: nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.LayerNorm(16))  # noqa: E731
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), block(), block(), nn.Linear(16, 10))


def fit(network: nn.Module, batch_size: int, batches: int, **settings: Any) -> nn.Module:
    data = sn.create_data("digits", image_size=8, batch_size=batch_size, transforms="none")
    options = {"optimizer": {"name": "sgd", "lr": 0.1}, "scheduler": "constant"}
    task = module_of(network, data, **options)
    trainer = sn.Trainer(
        max_epochs=1, limit_train_batches=batches, limit_val_batches=0, console=QUIET, channels_last=False, **settings
    )
    trainer.fit(task, data)
    return network


def assert_close(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.feature(73)
def test_four_of_16_are_one_of_64_and_a_short_group_is_scaled_right() -> None:
    assert rank_and_world_size() == (0, 1)
    assert_close(fit(small(), 16, 4, accumulate_grad_batches=4), fit(small(), 64, 1))
    assert_close(fit(small(), 16, 6, accumulate_grad_batches=4), _by_hand([64, 32]))
    # 1294 = 4 * 300 + 94 training samples: the last group holds a smaller batch, each sample of which counts alike
    assert_close(fit(small(), 300, 5, accumulate_grad_batches=3), _by_hand([900, 394]))


def _by_hand(sizes: list[int]) -> nn.Module:
    network = small()
    data = sn.create_data("digits", image_size=8, batch_size=2000, transforms="none")
    batch = next(iter(data.train_dataloader()))
    images, targets = batch["image"], batch["label"]
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        loss = nn.functional.cross_entropy(network(images[part]), targets[part])
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in network.parameters():
                assert p.grad is not None
                p -= 0.1 * p.grad
        start += size
    return network


@pytest.mark.slow
@pytest.mark.feature(74)
def test_bf16_learns_as_well_as_fp32(train: Any) -> None:
    options = ("trainer.max_epochs=8", "data.batch_size=64", "data.transforms=light")
    full, half = (
        sum(train(*options, f"trainer.precision={p}", f"seed={n}").summary["test"]["accuracy"] for n in range(3)) / 3
        for p in ("32-true", "bf16-mixed")
    )  # of one seed alone, four scans are a point
    assert full > 0.9
    assert half >= full - 0.01


@pytest.mark.feature(102)
def test_pinned_modules_compute_in_fp32_under_autocast() -> None:
    network = small()
    names = pin_to_fp32(network, ["LayerNorm", "4"])
    assert names == ["2.2", "3.2", "4"]
    seen: dict[str, tuple[torch.dtype, torch.dtype]] = {}
    for name, part in network.named_modules():
        if name and not list(part.children()):
            part.register_forward_hook(
                lambda m, a, out, name=name: seen.update({name: (a[0].dtype, out.dtype)})  # type: ignore[misc]
            )
    twin = copy.deepcopy(network)
    fit(network, 32, 1, precision="bf16-mixed", fp32_modules=["LayerNorm", "4"])
    for name in names:
        assert seen[name][1] == torch.float32, name
    assert seen["2.0"][1] == seen["3.0"][1] == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        twin(torch.randn(2, 1, 8, 8))
        assert torch.is_autocast_enabled("cpu")
    with pytest.raises(ConfigError, match="no module of the network is called 'LayerNrom'") as caught:
        pin_to_fp32(small(), ["LayerNrom"])
    assert "LayerNorm" in caught.value.suggestions


def test_tf32_is_set_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        fit(small(), 32, 1, tf32=True)
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
        allow_tf32(False)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.feature(96)
def test_recomputed_activations_keep_less_and_have_the_same_gradients() -> None:
    images = torch.randn(32, 1, 8, 8)

    def kept_bytes(network: nn.Module) -> int:
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        weights = {p.data_ptr() for p in network.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = network(images).square().mean()
        loss.backward()
        return sum(size for place, size in kept.items() if place not in weights)

    torch.manual_seed(0)
    block = lambda: nn.Sequential(*(part for _ in range(4) for part in (nn.Linear(64, 64), nn.Tanh())))  # noqa: E731
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), block(), block(), nn.Linear(64, 10))
    lean = copy.deepcopy(plain)
    assert checkpoint_activations(lean, ["[23]"]) == ["2", "3"]
    assert kept_bytes(lean) < 0.5 * kept_bytes(plain)
    for a, b in zip(plain.parameters(), lean.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)  # type: ignore[arg-type]
    assert list(plain.state_dict()) == list(copy.deepcopy(lean).state_dict())
    assert_close(fit(small(), 32, 3, activation_checkpointing=["[23]"]), fit(small(), 32, 3))


PEAKS = """
import copy
from pathlib import Path
import torch
from torch import nn
from scirs_neural.training.memory import checkpoint_activations

def peak_mb():
    held = Path("/proc/self/status").read_text()
    return int(next(line for line in held.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

def grown_mb(network):
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    before = peak_mb()
    network(images).mean().backward()
    return peak_mb() - before

images = torch.randn(8192, 256, requires_grad=True)  # 8 MiB, as each inner value
plain = nn.Sequential(*(nn.Sequential(*(nn.Tanh() for _ in range(6))) for _ in range(4)), nn.Linear(256, 1))
lean = copy.deepcopy(plain)
checkpoint_activations(lean, ["[0-3]"])
grown_mb(lean)  # whatever torch loads at first
print(grown_mb(lean), grown_mb(plain))
"""


@pytest.mark.feature(96)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux sets the peak back")
def test_the_peak_of_the_process_falls_with_recomputed_activations(python: Any) -> None:
    # With a fixed threshold the C library gives each tensor back when it is freed; else holes decide on the peak.
    ended = python("-c", PEAKS, MALLOC_MMAP_THRESHOLD_=str(2**20))
    assert ended.returncode == 0, ended.stderr
    lean, plain = map(float, ended.stdout.split())
    assert plain > 24 * 8  # all inner values
    assert lean < (4 + 6 + 2) * 8  # the blocks' inputs, the values of one block, and two gradients


def test_fused_and_foreach_optimizers_reach_torch_and_agree() -> None:
    made = {}

    class Look(L.Callback):
        def on_train_start(self, trainer: Any, module: Any) -> None:
            made[name] = trainer.optimizers[0].defaults

    networks = []
    for name in ("fused", "foreach"):
        network = small()
        data = sn.create_data("digits", image_size=8, batch_size=32)
        options = {"optimizer": {"name": "adamw", name: True}, "scheduler": "constant"}
        task = module_of(network, data, **options)
        trainer = sn.Trainer(
            max_epochs=1, limit_train_batches=2, limit_val_batches=0, console=QUIET, callbacks=[Look()]
        )
        trainer.fit(task, data)
        networks.append(network)
    assert made["fused"]["fused"] is made["foreach"]["foreach"] is True
    assert_close(*networks)


class Broken(nn.Module):
    """A network that stops the compiler's tracing in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small()

    def forward(self, x: Tensor) -> Tensor:
        x = self.body[1](self.body[0](x))
        torch._dynamo.graph_break()
        out: Tensor = self.body[4](x)
        return out


def test_graph_breaks_are_listed_with_their_place() -> None:
    found = graph_breaks(Broken(), "", [torch.randn(2, 1, 8, 8)])
    assert len(found) == 1
    assert "test_precision_and_memory.py" in found[0]
    assert graph_breaks(small(), "", [torch.randn(2, 1, 8, 8)]) == []


def test_what_the_compiler_refuses_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no C++ compiler found")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", no_compiler)
    torch._dynamo.reset()
    network = small()
    found = compile_network(network, True, [torch.randn(2, 1, 8, 8)])
    assert found.parts == []
    assert "no C++ compiler found" in found.reason
    assert "goes on without" in found.sentence()
    assert_close(fit(network, 32, 2, compile=True), fit(small(), 32, 2))
    torch._dynamo.reset()


def test_compiling_is_tried_in_the_precision_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Seen(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = super().forward(x)
            seen.append(out.dtype)
            return out

    monkeypatch.setattr("scirs_neural.training.compiling._compile", lambda *args: None)
    monkeypatch.setattr("scirs_neural.training.compiling.graph_breaks", lambda *args: [])
    network = Seen(nn.Flatten(), nn.Linear(64, 10))
    fit(network, 32, 1, compile=True, precision="bf16-mixed")
    assert {dtype for dtype in seen if dtype.itemsize == 2} == {torch.bfloat16}
    assert seen.count(torch.bfloat16) > 10  # a trial's steps, and the run's one


def test_blocks_that_occur_twice_are_regions() -> None:
    layer = lambda: nn.TransformerEncoderLayer(8, 2, 16)  # noqa: E731
    assert repeated_blocks(nn.Sequential(nn.Linear(2, 8), layer(), layer())) == ["1", "2"]
    assert repeated_blocks(small()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)  # the compiler calls a C++ compiler, many times
@pytest.mark.feature(99)
@pytest.mark.parametrize("mode", ["true", "regional", "reduce-overhead"])
def test_compiled_training_is_training(train: Any, mode: str) -> None:
    torch._dynamo.reset()
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), *(nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0) for _ in "ab")
    )
    model.append(nn.Linear(8, 10))
    # SGD: the bias of attention's keys has no gradient but rounding (1e-9), which Adam would turn into whole steps
    options = (
        "trainer.max_epochs=1",
        "data.batch_size=256",
        "logger=none",
        "optimizer=sgd",
        "optimizer.lr=0.1",
    )
    twin = copy.deepcopy(model)
    done = train(*options, f"trainer.compile={mode}", model=model)
    plain = train(*options, model=twin)
    report = done.summary["compiled"]
    assert report["parts"] == (["2", "3"] if mode == "regional" else [""])
    assert report["speed"] > 0
    assert report["warm_up_sec"] > 0
    for a, b in zip(done.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    images = next(iter(done.data.eval_dataloader("test")))["image"]
    with torch.inference_mode():
        torch.testing.assert_close(done.model.eval()(images), plain.model.eval()(images), rtol=0, atol=1e-4)
    torch._dynamo.reset()


class Limited(nn.Module):
    """A network on a device with memory for 100 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 100 and self.training and x.device.type != "meta":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate (a test's)")
        out: Tensor = self.body(x)
        return out


@pytest.mark.feature(104)
def test_finders_settle_rate_and_batch_size_before_the_run(train: Any, tmp_path: Path) -> None:
    options = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=none")
    with pytest.warns(UserWarning, match="without its plugins"):
        done = train(*options, "trainer.find_lr=true", "trainer.find_batch_size=true", "plugins=[ema]", model=Limited())
    import yaml

    kept = yaml.safe_load(done.folder.config.read_text())
    assert kept["data"]["batch_size"] == 64
    assert 1e-6 < kept["optimizer"]["lr"] < 1.0
    assert kept["optimizer"]["lr"] != 2e-3
    assert not kept["trainer"]["find_lr"]
    assert done.summary["peak_memory_mb"]["host"] > 50
    with pytest.raises(ConfigError, match="goes on with the settings"):
        train(*options, "trainer.find_lr=true", f"trainer.resume={done.folder.path}")


@pytest.mark.feature(97)
@pytest.mark.parametrize(("speed", "kept"), [(1.3, True), (0.7, False)])
def test_the_faster_memory_format_is_kept(
    train: Any, monkeypatch: pytest.MonkeyPatch, speed: float, kept: bool
) -> None:
    import yaml

    monkeypatch.setattr(finders, "find_memory_format", lambda *args: speed)
    options = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "logger=none")
    done = train(*options, "trainer.find_memory_format=true")
    trainer = yaml.safe_load(done.folder.config.read_text())["trainer"]
    assert (trainer["channels_last"], trainer["find_memory_format"]) == (kept, False)
    stem = next(p for p in done.model.parameters() if p.ndim == 4 and p.shape[1] > 1)
    assert stem.is_contiguous(memory_format=torch.channels_last) == kept


@pytest.mark.feature(97)
def test_memory_formats_are_timed_on_copies() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch, on_cpu = {"image": torch.rand(4, 1, 12, 12)}, TrainerConfig(accelerator="cpu")
    assert finders.find_memory_format(network, lambda net, held: net(held["image"]).sum(), batch, on_cpu) > 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.is_contiguous()
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.feature(104)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how much is resident")
def test_a_thousand_steps_do_not_leak() -> None:
    def resident_mb() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    fit(small(), 16, 80)
    before = resident_mb()
    data = sn.create_data("digits", image_size=8, batch_size=16)
    task = module_of(small(), data)
    sn.Trainer(max_epochs=13, limit_val_batches=0, console=QUIET).fit(task, data)
    assert resident_mb() - before < 20
