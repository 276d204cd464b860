"""A metric from the user's own file is computed on the full set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from scirs_neural.core.errors import ConfigError
from scirs_neural.metrics import create_metrics

SOURCE = """
from sklearn.metrics import f1_score

def my_f1(probabilities, targets):
    return f1_score(targets, probabilities.argmax(1), average="macro")

def no_number(probabilities, targets):
    return "good"
"""


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "my_metrics.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.feature(87)
def test_equals_scikit_learn_over_the_full_set_and_not_the_mean_of_batches(digits, user_file):
    p, y = digits
    metrics = create_metrics([f"{user_file}:my_f1", "accuracy"], num_classes=10)
    of_batches = []
    for start in range(0, len(y), 32):
        batch = torch.from_numpy(p[start : start + 32]), torch.from_numpy(y[start : start + 32])
        metrics.update(*batch)
        of_batches.append(f1_score(batch[1], batch[0].argmax(1), average="macro"))
    values = metrics.compute()
    expected = f1_score(y, p.argmax(1), average="macro")
    assert set(values) == {"my_f1", "accuracy"}
    assert values["my_f1"].item() == pytest.approx(expected, abs=1e-6)
    assert abs(np.mean(of_batches) - expected) > 1e-3


def test_starts_afresh_after_reset(user_file):
    metrics = create_metrics([f"{user_file}:my_f1"], num_classes=2)
    metrics.update(torch.eye(2), torch.tensor([1, 0]))
    assert metrics.compute()["my_f1"] == 0
    metrics.reset()
    metrics.update(torch.eye(2).bfloat16(), torch.tensor([0, 1]))  # numpy knows no bfloat16
    assert metrics.compute()["my_f1"] == 1


def test_what_is_no_number_is_named(user_file):
    metrics = create_metrics([f"{user_file}:no_number"], num_classes=2)
    metrics.update(torch.eye(2), torch.tensor([1, 0]))
    with pytest.raises(ConfigError, match="no_number' gave str, not a number"):
        metrics.compute()


def test_a_wrong_name_in_the_file_gives_the_nearest(user_file):
    with pytest.raises(ConfigError) as caught:
        create_metrics([f"{user_file}:my_f2"], num_classes=2)
    assert caught.value.suggestions == ("my_f1",)
