"""Row 98: pictures are read by threads beside those that compute, with the same answers in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import scirs_neural as sn
from scirs_neural.core.errors import DataError
from scirs_neural.runs.predictor import Predictor, read_ahead


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scans")
    paths = [folder / f"{number}.png" for number in range(40)]
    for path, image in zip(paths, load_digits().images, strict=False):
        Image.fromarray((image * 15.9).astype(np.uint8)).save(path)
    return paths


@pytest.fixture(scope="module")
def task() -> Any:
    data = sn.create_data("digits", image_size=8)
    model = sn.create_model("cnn", num_classes=10, in_channels=1, width=4, depth=2, input_size=8, seed=0)
    return Predictor(sn.create_task(data.spec), model)


@pytest.mark.feature(98)
@pytest.mark.parametrize("num_workers", [1, 3])
def test_reading_threads_change_no_answer(task: Any, scans: list[Path], num_workers: int) -> None:
    alone = list(task.stream(scans, batch_size=16))
    assert list(task.stream(scans, batch_size=16, num_workers=num_workers)) == alone
    assert [Path(found.source) for found in alone] == scans
    assert all(len(found.answer["top"]) == 5 for found in alone)


@pytest.mark.feature(98)
def test_two_computing_threads_give_equal_outputs(task: Any) -> None:
    images, before = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found.append(task.model.eval()(images))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)


def test_the_first_damaged_file_is_the_error_whoever_reads_it(task: Any, scans: list[Path], tmp_path: Path) -> None:
    damaged = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in damaged:
        path.write_bytes(b"no picture")
    mixed = [*scans[:20], damaged[0], *scans[20:], damaged[1]]
    for num_workers in (0, 2):
        found = task.stream(mixed, batch_size=4, num_workers=num_workers)
        with pytest.raises(DataError) as caught:
            list(found)
        assert "a.png" in str(caught.value)
        rows = list(task.stream(mixed, batch_size=4, num_workers=num_workers, skip_bad=True))
        assert [Path(row.source).name for row in rows if row.error is not None] == ["a.png", "b.png"]
        assert [row.answer is None for row in rows] == [row.error is not None for row in rows]


def test_threads_are_never_far_ahead() -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(100):
            taken.append(number)
            yield number

    found = read_ahead(lambda number: number, items(), num_workers=2, ahead=5)
    assert next(found) == 0
    assert len(taken) == 6
    assert list(found) == list(range(1, 100))
