"""Tiny runs, as fixtures."""

from __future__ import annotations

from tests.training.conftest import train as train
