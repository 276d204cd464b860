"""How training scales over GPUs: a model of one step, held against published measurements.

    python -m benchmarks.scaling                                   # the table of published rows, predicted and measured
    python -m benchmarks.scaling --params 25.6e6 --batch 256 --throughput 2470 --gpus 8,64,512 --machine dgx-a100-hdr

A step takes

    compute    of one GPU, times 1 + jitter * sqrt(2 ln n): the slowest of n is waited for (the expected maximum of n
               normal variables);
    exchange   that is not hidden behind compute. Data parallel: a ring all-reduce of all gradients, 2 (n-1)/n of their
               bytes over the slowest link of the ring, hidden behind the backward pass (two thirds of compute) but for
               its last bucket; nothing is hidden if it begins after the backward pass. Fully sharded: in each
               micro-batch parameters are gathered twice and gradients scattered once, all hidden but for one block's.
    input      a node makes so many samples a second, and no more.

What is known of a machine is what its maker says: links, and GPUs a node. Links are taken at 90 % of their nominal
speed. One number a machine is fitted, its jitter or its input rate, on the row that is marked "fit"; one GPU's (or the
smallest run's) throughput is where a network begins, "base". All other rows are predictions.

Sources: NVIDIA DeepLearningExamples, PyTorch/Classification/ConvNets/resnet50v1.5; DLPerf, its runs of NVIDIA's BERT
and ResNet-50 and of PyTorch's ImageNet example on four nodes (2020); llm-foundry, scripts/train/benchmarking (2,048
tokens); torchtitan, benchmarks/llama3_h100_202412. The ring: Patarasuk and Yuan, JPDC 2009.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

LINK_EFFICIENCY = 0.9
BUCKET = 25e6  # bytes of gradients that torch's DistributedDataParallel sends at once
BACKWARD = 2 / 3  # of compute


@dataclass(frozen=True)
class Machine:
    """A kind of cluster.

    Args:
        gpus_per_node: that share the fast links.
        gpu_link: bytes a second between GPUs of a node, one way, all links of a GPU together.
        node_link: bytes a second between nodes, all adapters of a node together.
        jitter: standard deviation of a GPU's compute time, as a fraction of it.
        input_rate: samples that a node can load a second.
    """

    gpus_per_node: int
    gpu_link: float
    node_link: float
    jitter: float = 0.0
    input_rate: float = math.inf

    def ring(self, num_gpus: int) -> float:
        """Bytes a second that a ring through all GPUs moves: those of its slowest part."""
        is_within = num_gpus <= self.gpus_per_node
        return LINK_EFFICIENCY * (self.gpu_link if is_within else min(self.gpu_link, self.node_link))


@dataclass(frozen=True)
class Job:
    """A network and how it is trained.

    Args:
        params: that are trained.
        batch: samples (or tokens) a GPU and micro-batch.
        throughput: samples a second of one GPU by itself.
        micro_batches: a step.
        method: "ddp" hides its exchange behind the backward pass, "late" begins it afterwards, "fsdp" shards.
        bytes_per_value: of gradients (ddp, late), or of parameters and gradients (fsdp).
        num_blocks: that fully sharded parameters are gathered by.
    """

    params: float
    batch: float
    throughput: float
    micro_batches: int = 1
    method: str = "ddp"
    bytes_per_value: int = 4
    num_blocks: int = 24


def step_sec(job: Job, machine: Machine, num_gpus: int) -> float:
    """Seconds of one optimizer step on so many GPUs."""
    compute = job.micro_batches * job.batch / job.throughput
    compute *= 1 + machine.jitter * math.sqrt(2 * math.log(num_gpus))
    size, ring = job.params * job.bytes_per_value, machine.ring(num_gpus)
    share = (num_gpus - 1) / num_gpus
    if job.method == "fsdp":
        exchange = job.micro_batches * 3 * share * size / ring
        exposed = max(exchange - compute, 0) + exchange / job.num_blocks / job.micro_batches
    else:
        exchange = 2 * share * size / ring
        hidden = BACKWARD * compute / job.micro_batches if job.method == "ddp" else 0.0  # only the last batch's
        exposed = max(exchange - hidden, exchange * min(1.0, BUCKET / size))
    nodes = math.ceil(num_gpus / machine.gpus_per_node)
    loading = job.micro_batches * job.batch * num_gpus / (machine.input_rate * nodes)
    return max(compute + exposed, loading)


def throughput(job: Job, machine: Machine, num_gpus: int) -> float:
    """Samples a second of all GPUs together."""
    return job.micro_batches * job.batch * num_gpus / step_sec(job, machine, num_gpus)


# -- what was measured -------------------------------------------------------------------------------------------------

MACHINES = {
    # 8 V100 SXM2: 6 NVLinks of 25 GB/s; four nodes on one 100 Gb/s InfiniBand adapter each.
    "v100-edr": Machine(8, 150e9, 12.5e9),
    "v100-edr-loader": Machine(8, 150e9, 12.5e9),  # the same, fed by a slower loader
    "dgx-1": Machine(8, 150e9, 50e9),
    # 8 A100: 12 NVLinks of 25 GB/s; 1,600 Gb/s between nodes (llm-foundry says so; a DGX has 8 times 200 Gb/s).
    "dgx-a100": Machine(8, 300e9, 200e9),
    "dgx-a100-hdr": Machine(8, 300e9, 200e9),
    # 8 H100: 18 NVLinks of 25 GB/s; 400 Gb/s a GPU between nodes.
    "h100-400g": Machine(8, 450e9, 400e9),
    "h100-titan": Machine(8, 450e9, 400e9),
}


@dataclass(frozen=True)
class Measured:
    """One published row.

    Args:
        source: whose.
        network: and its setting; rows of one network and machine are a series.
        machine: of `MACHINES`.
        job: as it was run; the throughput of one GPU comes from the base row.
        gpus: how many.
        rate: samples (tokens) a second of all of them.
        role: "base", "predicted", "fit jitter" or "fit input_rate", or "outlier": a row that its own neighbours deny.
    """

    source: str
    network: str
    machine: str
    job: Job
    gpus: int
    rate: float
    role: str


def published() -> list[Measured]:
    """The rows of scaling_published.csv."""
    with open(Path(__file__).with_name("scaling_published.csv"), newline="") as file:
        return [
            Measured(
                row["source"], row["network"], row["machine"],
                Job(
                    float(row["params"]), float(row["batch"]), 1.0, int(row["micro_batches"]), row["method"],
                    int(row["bytes_per_value"]), int(row["num_blocks"] or 1),
                ),
                int(row["gpus"]), float(row["measured"]), row["role"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


# -- fitting and showing -----------------------------------------------------------------------------------------------


def solve(wanted: float, value: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotonic function has a value; the nearer end, if it has it nowhere between."""
    rising = value(high) > value(low)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (value(middle) < wanted) == rising else (low, middle)
    return (low + high) / 2


def alone(base: Measured, machine: Machine) -> float:
    """The throughput of one GPU that gives the base row's measurement."""
    return solve(base.rate, lambda rate: throughput(replace(base.job, throughput=rate), machine, base.gpus), 1e-3, 1e9)


def predict(row: Measured, base: Measured, machine: Machine) -> float:
    """Samples a second of a row."""
    return throughput(replace(row.job, throughput=alone(base, machine)), machine, row.gpus)


def fitted(found: Sequence[Measured]) -> dict[str, Machine]:
    """The machines with their one free number."""
    machines = dict(MACHINES)
    for row in found:
        what, _, free = row.role.partition(" ")
        if what == "fit":
            start, base = machines[row.machine], base_of(row, found)
            tried = partial(_with, start, free, row, base)
            value = solve(row.rate, tried, *((0.0, 0.2) if free == "jitter" else (1.0, 1e6)))
            machines[row.machine] = replace(start, **{free: value})
    return machines


def _with(start: Machine, free: str, row: Measured, base: Measured, value: float) -> float:
    return predict(row, base, replace(start, **{free: value}))


def base_of(row: Measured, found: Sequence[Measured]) -> Measured:
    """The base row of a row's series."""
    return next(one for one in found if (one.network, one.machine, one.role) == (row.network, row.machine, "base"))


@dataclass(frozen=True)
class Row:
    """A published row, what is predicted for it, and what perfect scaling from the base would be."""

    measured: Measured
    predicted: float
    perfect: float

    @property
    def error(self) -> float:
        """Of the prediction, as a fraction of the measurement."""
        return self.predicted / self.measured.rate - 1

    @property
    def perfect_error(self) -> float:
        """Of perfect scaling."""
        return self.perfect / self.measured.rate - 1


def rows() -> list[Row]:
    """Every published row."""
    found = published()
    machines = fitted(found)
    pairs = [(row, base_of(row, found)) for row in found]
    return [
        Row(row, predict(row, base, machines[row.machine]), base.rate * row.gpus / base.gpus) for row, base in pairs
    ]


def show(found: Sequence[Row]) -> None:
    print(f"{'source':12s}{'network':36s}{'GPUs':>5s}{'measured':>12s}{'predicted':>12s}{'error':>9s}{'perfect':>9s}")
    for row in found:
        it, role = row.measured, row.measured.role.partition(" ")[0]
        error = role if role in ("base", "fit") else f"{row.error:+.1%}" + ("*" if role == "outlier" else "")
        perfect = f"{row.perfect_error:+.1%}" if role != "base" else ""
        print(
            f"{it.source:12s}{it.network:36s}{it.gpus:5d}{it.rate:12,.0f}{row.predicted:12,.0f}{error:>9s}{perfect:>9s}"
        )
    held = [row for row in found if row.measured.role == "predicted"]
    worst = max(held, key=lambda row: abs(row.error))
    within = sum(abs(row.error) <= 0.1 for row in held)
    alike = sum(abs(row.perfect_error) <= 0.1 for row in held)
    print(f"predicted rows within 10 %: {within} of {len(held)} (perfect scaling: {alike}); worst {worst.error:+.1%}")
    print("* an outlier of its source: a fifth below the rows of half and of twice as many GPUs; not counted")
    for name, machine in fitted(published()).items():
        loads = machine.input_rate < math.inf
        free = f"input {machine.input_rate:,.0f}/s a node" if loads else f"jitter {machine.jitter:.2%}"
        print(f"  fitted  {name:18s}{free}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=float, help="of a network of your own")
    parser.add_argument("--batch", type=float, help="samples a GPU and step")
    parser.add_argument("--throughput", type=float, help="samples a second of one GPU")
    parser.add_argument("--method", choices=["ddp", "late", "fsdp"], default="ddp")
    parser.add_argument("--bytes", type=int, default=4, help="a value that is exchanged")
    parser.add_argument("--machine", choices=list(MACHINES), default="dgx-a100-hdr")
    parser.add_argument("--gpus", default="1,8,16,32,64,128,256")
    chosen = parser.parse_args(arguments)
    if chosen.params is None:
        show(rows())
        return
    if chosen.batch is None or chosen.throughput is None:
        parser.error("--params needs --batch and --throughput")
    job = Job(chosen.params, chosen.batch, chosen.throughput, method=chosen.method, bytes_per_value=chosen.bytes)
    machine = fitted(published())[chosen.machine]
    print(f"{'GPUs':>6s}{'step ms':>10s}{'samples/s':>14s}{'of perfect':>12s}")
    for count in map(int, chosen.gpus.split(",")):
        rate = throughput(job, machine, count)
        share = rate / count / chosen.throughput
        print(f"{count:6d}{1e3 * step_sec(job, machine, count):10.1f}{rate:14,.0f}{share:12.1%}")


if __name__ == "__main__":
    main()
