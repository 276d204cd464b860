"""Tiny runs, as fixtures."""

from __future__ import annotations

from tests.tiny_runs import finished as finished
from tests.tiny_runs import train as train
