"""What is swapped or left out in Python is an error of ours that says how the call is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import scirs_neural as sn
from scirs_neural.core.errors import ConfigError, DataError
from scirs_neural.runs.predictor import Predictor
from tests.training.tiny import module_of

WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "module": (lambda it: sn.Module(it.model, it.task), "sn.Module(task, network)"),
    "module of the data": (lambda it: sn.Module(it.data, it.model), "sn.Module(task, network)"),
    "module of a name": (lambda it: sn.Module(it.task, "cnn"), "sn.Module(task, network)"),
    "fit": (lambda it: it.trainer.fit(it.data, it.module), "trainer.fit(module, data)"),
    "fit a network": (lambda it: it.trainer.fit(it.model, it.data), "trainer.fit(module, data)"),
    "fit arrays": (lambda it: it.trainer.fit(it.module, (it.images, it.images)), "trainer.fit(module, data)"),
    "validate": (lambda it: it.trainer.validate(it.data, it.module), "trainer.validate(module, data)"),
    "test": (lambda it: it.trainer.test(it.data, it.module), "trainer.test(module, data)"),
    "task of data": (lambda it: sn.create_task(it.data), "sn.create_task(data.spec"),
    "task of a name": (lambda it: sn.create_task("classification", it.data.spec), "sn.create_task(data.spec"),
    "sn.fit": (lambda it: sn.fit((it.images, it.images), it.model), "a name of sn.list_models()"),
    "package": (lambda it: sn.save_package(it.model, "net.zip"), "sn.save_package(path, network"),
    "package of a path": (lambda it: sn.save_package("net.zip", "net.zip"), "sn.save_package(path, network"),
    "run": (lambda it: sn.load_run(None), "sn.load_run("),
    "predictor": (lambda it: sn.load_predictor(it.model), "sn.load_predictor(folder or package).predict(inputs)"),
    "nothing to predict": (lambda it: it.predictor.predict(None), "give image (1x8x8)"),
    "a number to predict": (lambda it: it.predictor.predict(3), "give image (1x8x8)"),
    "an object to predict": (lambda it: it.predictor.predict(object()), "give image (1x8x8)"),
}


@pytest.fixture(scope="module")
def it() -> Any:
    """All parts of a tiny job."""
    data = sn.create_data("digits", image_size=8)
    task = sn.create_task(data.spec)
    model = sn.create_model("cnn", **task.model_arguments(), width=4, depth=1, seed=0)
    return SimpleNamespace(
        data=data, task=task, model=model, module=module_of(model, data), predictor=Predictor(task, model),
        trainer=sn.Trainer(console=Console(quiet=True)), images=np.zeros((2, 8, 8), dtype=np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_it_says_how_the_call_is_written(case: str, it: Any) -> None:
    call, usage = WRONG[case]
    with pytest.raises((ConfigError, DataError)) as caught:
        call(it)
    assert usage in (caught.value.fix or "")


def test_a_predictor_is_used_as_a_run_is(it: Any, tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(it.images[0] + number).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_text("no picture")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    with pytest.raises(DataError, match=r"1\.png"):
        it.predictor.predict(files)
    found = it.predictor.predict(files, skip_bad=True, batch_size=2)
    assert [one.error is None for one in found] == [True, False, True]
    assert [one.source for one in found] == list(map(str, files))


KINDS: dict[str, dict[str, bytes]] = {  # a kind of input to a file that is none of it, and one that is
    "image": {"bad.png": b"no picture", "good.png": b""},
    "text": {"bad.txt": "\u00fcber".encode("latin-1"), "good.txt": b"a fine day"},
    "table": {"bad.csv": b"x,y\n1,2\n", "good.csv": b"a,b\n1,2\n3,4\n"},
}


@pytest.fixture(scope="module")
def predictors(it: Any) -> dict[str, Predictor]:
    """A network for each kind of input."""
    table = sn.data.from_table(
        {"a": [0.5 * i for i in range(40)], "b": [-i for i in range(40)], "y": ["p", "q"] * 20}, "y"
    )
    text = sn.data.from_texts(["a fine day", "a bad day"] * 20, ["good", "bad"] * 20)
    made = {"image": it.predictor}
    for kind, data, name in (("table", table, "mlp"), ("text", text, "bag_of_embeddings")):
        task = sn.create_task(data.spec)
        made[kind] = Predictor(task, sn.create_model(name, **task.model_arguments()).eval())
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_cannot_be_read_costs_its_own_row(
    kind: str, predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    files = []
    for name, content in KINDS[kind].items():
        files.append(tmp_path / name)
        if content:
            files[-1].write_bytes(content)
        else:
            Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(files[-1])
    files += [tmp_path / f"none{files[0].suffix}", files[1]]
    found = predictors[kind].predict(files, skip_bad=True)
    rows = 2 if kind == "table" else 1
    assert [one.error is None for one in found] == [False, *[True] * rows, False, *[True] * rows]
    assert "bad." in found[0].source
    assert "none." in found[rows + 1].source
    with pytest.raises(DataError):
        predictors[kind].predict(files)
