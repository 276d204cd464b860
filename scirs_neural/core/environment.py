"""What this run stands on: versions, machine, devices. Torch is asked only if it is loaded already."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "scirs-neural", "torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "pydantic",
    "numpy", "scikit-learn", "safetensors", "pillow", "tensorboard",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions, machine, devices and the git commit of the working folder.

    Example:
        >>> sorted(environment())
        ['cpu', 'devices', 'git_commit', 'packages', 'platform', 'python', 'threads']
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "threads": num_cpus(),
        "devices": devices(),
        "packages": {name: installed(name) for name in PACKAGES},
        "git_commit": git_commit(),
    }


def installed(package: str) -> str | None:
    """A package's version, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def num_cpus() -> int:
    """CPUs that this process may use (the affinity mask, which containers set)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def devices() -> list[str]:
    """Accelerators that torch sees; empty where torch is not loaded or sees none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def git_commit() -> str | None:
    """The commit of the working folder, with "+changes" if files differ from it; None outside a repository."""
    try:
        run: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 5, "check": True}
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else str(commit)
