"""Our Trainer against the best loop written by hand, on one GPU: ResNet-50, ViT-B/16, GPT-2 124M.

    python -m benchmarks.gpu                      # on a GPU, in bfloat16, channels-last, compiled
    python -m benchmarks.gpu --tiny               # the same code, small, also on a CPU: part of the tests

Both train copies of one network on the same batches, which lie on the device already, with fused AdamW. They take
turns inside one process, in blocks of steps (ours, hand, hand, ours, …), so that clocks and heat are the same for both.
Printed: the time of a step of each, hand over ours (1.00: as fast; a claim needs the lower end of its 95 % bootstrap
interval), the peak memory of each, and what each launches in one step: kernels (on a CPU: operators) and host-device
synchronisations; and whether both have the same weights at the end, to the bit.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torchvision.models import VisionTransformer

import scirs_neural as sn
from scirs_neural.layers import create_layer

GPT2_PARAMETERS = 124_439_808  # Radford et al. (2019), as published: transformers' GPT2LMHeadModel counts the same


class GPT(nn.Module):
    """GPT-2 from this package's layers.

    Shape: (B, T) token ids -> (B, T, vocabulary)

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
    """

    def __init__(self, vocabulary: int, length: int, embed_dim: int, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, embed_dim)
        self.positions = create_layer("learned_positions", embed_dim, max_length=length)
        block = {"causal": True, "activation": {"name": "gelu", "approximate": "tanh"}}
        self.body = nn.Sequential(
            *[create_layer("transformer_encoder_block", embed_dim, num_heads, **block) for _ in range(num_layers)],
            create_layer("layer_norm", embed_dim),
        )
        self.head = nn.Linear(embed_dim, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        """The logits of the next token at each place."""
        logits: Tensor = self.head(self.body(self.positions(self.tokens(ids))))
        return logits


@dataclass(frozen=True)
class Case:
    """A network, what it is fed, and in how many samples."""

    name: str
    build: Callable[[], nn.Module]
    batch: Callable[[torch.device], tuple[Tensor, Tensor]]


def cases(tiny: bool) -> list[Case]:
    """The three networks, whole or small."""
    size, images, rows, classes = (32, 4, 2, 10) if tiny else (224, 128, 8, 1000)
    words, length = (64, 16) if tiny else (50257, 1024)

    def gpt() -> nn.Module:
        model = GPT(words, length, 32, 2, 2) if tiny else GPT(words, length, 768, 12, 12)
        count = sum(parameter.numel() for parameter in model.parameters())
        assert tiny or count == GPT2_PARAMETERS, count
        return model

    def resnet() -> nn.Module:
        return sn.create_model("resnet18" if tiny else "resnet50", num_classes=classes, input_size=size)

    def vit() -> nn.Module:
        if tiny:
            return VisionTransformer(size, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=classes)
        return sn.create_model("vit_b_16", num_classes=classes)

    def picture_batch(device: torch.device) -> tuple[Tensor, Tensor]:
        pictures = torch.randn(images, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        return pictures, torch.randint(classes, (images,), device=device)

    def text_batch(device: torch.device) -> tuple[Tensor, Tensor]:
        ids = torch.randint(words, (rows, length + 1), device=device)
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    names = ("resnet18", "vit_small", "gpt_small") if tiny else ("resnet50", "vit_b_16", "gpt2_124m")
    return [
        Case(names[0], resnet, picture_batch),
        Case(names[1], vit, picture_batch),
        Case(names[2], gpt, text_batch),
    ]


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The mean cross-entropy of a batch."""
    logits = model(batch[0])
    return nn.functional.cross_entropy(logits.flatten(0, -2), batch[1].flatten())


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of both."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)


class Task(L.LightningModule):
    """What our Trainer is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One loss, logged as users log it."""
        loss = loss_of(self.model, batch)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The same as by hand."""
        return adamw(self.model)


class Batches(L.LightningDataModule):
    """The same batch again and again: nothing of the loader is measured."""

    def __init__(self, batch: tuple[Tensor, Tensor], num: int) -> None:
        super().__init__()
        self.batch, self.num = batch, num

    def train_dataloader(self) -> Batches:
        """Itself: a list would be taken for several loaders."""
        return self

    def __len__(self) -> int:
        return self.num

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([self.batch] * self.num)


class ByHand:
    """The loop without any framework."""

    def __init__(self, model: nn.Module, batch: tuple[Tensor, Tensor], compiled: bool) -> None:
        self.model, self.batch = model.to(batch[0].device, memory_format=torch.channels_last).train(), batch
        self.run = torch.compile(self.model) if compiled else self.model
        self.optimizer = adamw(self.model)

    def step(self) -> None:
        """One step of training."""
        with torch.autocast(self.batch[0].device.type, torch.bfloat16):
            loss = loss_of(self.run, self.batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class Turns(L.Callback):
    """Lets the loop by hand take its turns between blocks of our own steps, and times both."""

    def __init__(self, hand: ByHand, warm_up: int, steps: int, rounds: int) -> None:
        self.hand, self.warm_up, self.steps, self.rounds = hand, warm_up, steps, rounds
        self.seconds: dict[str, list[float]] = {"ours": [], "hand": []}
        self.peak_mb: dict[str, float] = {}
        self.launched: dict[str, dict[str, int]] = {}
        self._began = 0.0
        self._watch: Watch | None = None

    @property
    def num_steps(self) -> int:
        """How many steps of ours it takes: warm-up, the rounds, one that is looked into, and the last.

        In an epoch's last step what was logged is added up, so that is not the one to look into.
        """
        return self.warm_up + self.rounds * self.steps + 2

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """A block of ours begins; in odd rounds the loop by hand goes first."""
        block, place = divmod(batch_idx - self.warm_up, self.steps)
        if block == self.rounds:
            self._watch = Watch().__enter__() if place == 0 else None
        elif batch_idx >= self.warm_up and place == 0:
            if block % 2:
                self._by_hand()
            self._began = start_clock()

    def on_train_batch_end(self, trainer: L.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A block of ours ends; in even rounds it is the turn of the loop by hand now."""
        block, place = divmod(batch_idx - self.warm_up, self.steps)
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self.launched["ours"] = self._watch.counts
            with Watch() as watch:
                self.hand.step()
            self.launched["hand"] = watch.counts
        elif batch_idx < self.warm_up or block == self.rounds:
            self.hand.step()
        elif place == self.steps - 1:
            self.seconds["ours"].append((stop_clock() - self._began) / self.steps)
            self.peak_mb["ours"] = peak_mb()
            if block % 2 == 0:
                self._by_hand()

    def _by_hand(self) -> None:
        began = start_clock()
        for _ in range(self.steps):
            self.hand.step()
        self.seconds["hand"].append((stop_clock() - began) / self.steps)
        self.peak_mb["hand"] = peak_mb()


class Watch:
    """Counts what a step launches, and where it waits for the device."""

    def __enter__(self) -> Watch:
        self.counts: dict[str, int] = {}
        on_gpu = torch.cuda.is_available()
        self._warned = warnings.catch_warnings(record=True)
        self._said = self._warned.__enter__()
        warnings.simplefilter("always")
        if on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        self._profile = profile(activities=kinds)
        self._profile.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._profile.__exit__(None, None, None)
        events = self._profile.events() or []
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")
            kernels = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
            self.counts["kernels"] = len(kernels)
            self.counts["synchronisations"] = sum("synchroniz" in str(said.message) for said in self._said)
        else:
            self.counts["operators"] = sum(event.name.startswith("aten::") for event in events)
        self._warned.__exit__(None, None, None)


def start_clock() -> float:
    """Now, with nothing left to do on the device; the peak of memory starts anew."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    return time.perf_counter()


def stop_clock() -> float:
    """Now, with nothing left to do on the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_mb() -> float:
    """The peak of the device's memory since the clock was started; both networks and their states lie in it."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else float("nan")


def measure(case: Case, *, rounds: int, steps: int, warm_up: int, compiled: bool) -> dict[str, Any]:
    """Both on one network: seconds of a step, their ratio with its interval, memory, launches."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    network = case.build()
    copy = case.build()
    copy.load_state_dict(network.state_dict())
    batch = case.batch(device)
    turns = Turns(ByHand(copy, batch, compiled), warm_up, steps, rounds)
    trainer = sn.Trainer(
        max_epochs=1, accelerator="gpu" if device.type == "cuda" else "cpu", devices=1, precision="bf16-mixed",
        compile=compiled, callbacks=[turns], console=Console(quiet=True), limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(Task(network), Batches(batch, turns.num_steps))
    ratios = np.array(turns.seconds["hand"]) / np.array(turns.seconds["ours"])
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return {
        "network": case.name,
        "samples": len(batch[0]),
        "ours_ms": 1e3 * statistics.median(turns.seconds["ours"]),
        "hand_ms": 1e3 * statistics.median(turns.seconds["hand"]),
        "hand_over_ours": float(np.median(ratios)),
        "interval": [float(low), float(high)],
        "peak_mb": turns.peak_mb,
        "launched": turns.launched,
        "same_weights": bool(_largest_difference(network, copy) == 0.0),
    }


def _largest_difference(left: nn.Module, right: nn.Module) -> float:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return max(float((a.double().cpu() - b.double().cpu()).abs().max()) for a, b in pairs)


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure and print; gives what was printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="small networks, few steps: any machine")
    parser.add_argument("--only", metavar="NAME", help="one of resnet50, vit_b_16, gpt2_124m")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", help="keep the figures here")
    asked = parser.parse_args(argv)
    if not asked.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU here: --tiny runs anywhere")
    length = (
        {"rounds": 2, "steps": 2, "warm_up": 1} if asked.tiny else {"rounds": asked.rounds, "steps": 10, "warm_up": 10}
    )
    found = []
    for case in cases(asked.tiny):
        if asked.only not in (None, case.name):
            continue
        row = measure(case, **length, compiled=not (asked.tiny or asked.eager))
        found.append(row)
        low, high = row["interval"]
        print(
            f"{row['network']:>10}  ours {row['ours_ms']:8.2f} ms  hand {row['hand_ms']:8.2f} ms  hand/ours "
            f"{row['hand_over_ours']:.3f} [{low:.3f}, {high:.3f}]  launched {row['launched']}  peak MB {row['peak_mb']}"
            f"  same weights: {'yes' if row['same_weights'] else 'no'}"
        )
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"on {name}, torch {torch.__version__}")
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump({"machine": name, "torch": torch.__version__, "rows": found}, file, indent=1)
    return found


if __name__ == "__main__":
    main()
