"""A kind of predictions of one's own, as docs/evaluation.md has it, goes through everything."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from scirs_neural.evaluation import PREDICTIONS, compare_predictions, evaluate, load_predictions

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


@pytest.fixture
def kind(monkeypatch):
    monkeypatch.setattr(PREDICTIONS, "_entries", dict(PREDICTIONS._entries))
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names = {}
    exec(snippet, names)
    return names["CountPredictions"]


def test_judged_sliced_compared_averaged_and_kept(kind, tmp_path):
    rng = np.random.default_rng(0)
    target = rng.poisson(5, 300).astype(float)
    ids = [str(i) for i in range(300)]
    good, bad = (kind(ids, {"count": target + s * rng.normal(size=300), "target": target}) for s in (0.5, 1.0))
    found = evaluate(good, slices={"half": ["a", "b"] * 150})
    errors = np.abs(good.columns["count"] - target)
    score = found.metrics["mean_error"]
    assert score.value == pytest.approx(errors.mean())
    assert score.high - score.low == pytest.approx(2 * 1.96 * errors.std() / np.sqrt(300), rel=0.1)
    halves = [part.metrics["mean_error"].value for part in found.slices]
    assert halves == pytest.approx([errors[::2].mean(), errors[1::2].mean()])
    assert compare_predictions({"bad": bad, "good": good}).pairs[0].verdict() == "good is better"
    both = kind.average([good, bad])
    np.testing.assert_allclose(both.columns["count"], (good.columns["count"] + bad.columns["count"]) / 2)
    good.save(tmp_path / "p")
    assert type(load_predictions(tmp_path / "p")) is kind
    assert load_predictions(tmp_path / "p").score() == good.score()


def test_any_function_of_weights_is_a_scorer(kind):
    """A median is no function of sums."""
    rng = np.random.default_rng(0)

    class Median(kind):
        def scorer(self):
            error = np.abs(self.array("count") - self.array("target"))
            order = np.argsort(error)

            def median(weights):
                below = np.cumsum(weights[:, order], axis=1)
                return {"mean_error": error[order][(below >= below[:, -1:] / 2).argmax(axis=1)]}

            return median

    target = rng.normal(size=201)
    pred = Median(range(201), {"count": target + rng.normal(size=201), "target": target})
    found = evaluate(pred, slices={"half": ["a"] * 101 + ["b"] * 100})
    errors = np.abs(pred.columns["count"] - target)
    assert found.metrics["mean_error"].value == np.median(errors)
    assert found.metrics["mean_error"].low < np.median(errors) < found.metrics["mean_error"].high
    assert found.slices[0].metrics["mean_error"].value == np.median(errors[:101])
    worse = Median(range(201), {"count": target + 3 * rng.normal(size=201), "target": target})
    pair = compare_predictions({"worse": worse, "better": pred}).pairs[0]
    assert pair.verdict() == "better is better"
    assert pair.high < 0
