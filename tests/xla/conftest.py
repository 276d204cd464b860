"""Tests on XLA:CPU, which need torch_xla and so an environment of their own: ``make test-xla``.

A process has XLA with or without SPMD, and cannot change its mind: ``test_spmd.py`` needs one of its own.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

if find_spec("torch_xla") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ["PJRT_DEVICE"] = "CPU"
    # Unoptimised programs compile six times as fast, and tiny nets run as fast.
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(scope="session")
def xla():
    """XLA, begun before any backward pass on the CPU: after one, autograd would have no queues for it."""
    import torch_xla

    return torch_xla.device()
