"""``(x, y)``: what x is tells what takes it: pictures, texts, or rows of a table."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

from scirs_neural.core.errors import DataError, ScirsError, ShapeError
from scirs_neural.data.create import data_module
from scirs_neural.data.in_memory import from_arrays

X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
WORDS = ["a good film", "a bad film"] * 20


@pytest.mark.parametrize(
    ("x", "y", "kind"),
    [
        (X, Y, "table"),
        (torch.from_numpy(X), torch.from_numpy(Y), "table"),
        (X.tolist(), Y.tolist(), "table"),
        (list(X), list(Y), "table"),
        (X.astype(object), Y, "table"),
        (np.c_[X, Y > 1].astype(object), Y, "table"),
        (FRAME, Y, "table"),
        (FRAME.to_dict("list"), Y, "table"),
        (FRAME.to_dict("records"), Y, "table"),
        (FRAME.assign(y=Y), "y", "table"),
        (X, X[:, :2] * 2, "table"),
        (load_digits().images[:150], Y, "image"),
        (load_digits().images[:150].tolist(), Y.tolist(), "image"),
        (np.zeros((150, 8, 8, 3), np.uint8), Y, "image"),
        (WORDS, ["p", "n"] * 20, "text"),
    ],
)
def test_what_x_is_tells_what_takes_it(x, y, kind):
    data = data_module((x, y), {"batch_size": 16, "seed": 0})
    (field,) = data.pipeline.inputs.values()
    assert field.kind == kind
    batch = next(iter(data.train_dataloader()))
    assert torch.isfinite(batch[field.name].float()).all()
    if kind == "table" and not isinstance(x, pd.DataFrame | dict):
        np.testing.assert_array_equal(data.source.train.known("row")[:, :4], X)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[1, 2], [3]] * 20, [0, 1] * 20),
        ([np.zeros((8, 8)), np.zeros((9, 9))] * 20, [0, 1] * 20),
        (np.array([{"a": 1}, None] * 20, dtype=object), [0, 1] * 20),
        (np.array([[object(), object()]] * 40), [0, 1] * 20),
        (np.full((40, 2, 2), "a"), [0, 1] * 20),
        (X, Y[:-1]),
        (X, [[1], [2, 3]] * 75),
        (X, None),
        (np.arange(10), [0, 1] * 5),
        ([], []),
        ([["a", "b"], [1]] * 20, [0, 1] * 20),
    ],
)  # fmt: skip
def test_arrays_that_are_none_of_them_are_an_error_of_ours(x, y):
    with pytest.raises(ScirsError):
        data_module((x, y), {})


def test_infinity_and_another_width_name_what_is_wrong():
    with pytest.raises(DataError, match=r"(?s)'column_2' has a number that is not finite.*leave_out=\[column_2\]"):
        data_module((np.where(X[7, 2] == X, np.inf, X), Y), {})
    field = data_module((X, Y), {}).pipeline.inputs["row"]
    for wrong in (X[:, :3], X[:2, :3].tolist(), np.c_[X, X]):
        with pytest.raises(DataError, match=r"(3|8) columns, and training had 4"):
            list(field.read(wrong))
    with pytest.raises(ShapeError, match="from_table"):
        from_arrays(X, Y)
