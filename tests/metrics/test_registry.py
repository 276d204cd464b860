"""The table of names is true, and costs no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torchmetrics import Metric

from scirs_neural import metrics
from scirs_neural.core.errors import MissingExtraError
from scirs_neural.core.signatures import signature_options


@pytest.mark.parametrize("name", metrics.METRICS.names())
def test_options_are_those_of_the_factory(name):
    signature = signature_options(metrics.METRICS.get(name))
    assert metrics.METRICS.supplied <= set(signature)
    assert dict(metrics.METRICS.options(name)) == {
        k: v for k, v in signature.items() if k not in metrics.METRICS.supplied
    }
    assert metrics.METRICS.entry(name).summary


@pytest.mark.parametrize("name", [name for name in metrics.METRICS if name != "map"])
def test_every_name_builds(name):
    num_classes = 1 if name in ("pearson", "spearman") else 7
    assert isinstance(metrics.METRICS.get(name)(num_classes=num_classes), Metric)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    import scirs_neural.metrics.detection as detection

    monkeypatch.setattr(detection, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'scirs-neural\[detection\]'"):
        metrics.METRICS.get("map")()


def test_the_table_is_read_without_torch():
    code = (
        "import sys, scirs_neural.metrics as m; m.METRICS.options('f1'); print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="nothing_here"):
        metrics.nothing_here  # noqa: B018
