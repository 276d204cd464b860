"""One rule for every command and file (case S8): a result or our own error, soon, and nothing raw on the terminal."""

from __future__ import annotations

import io
import json
import random
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scirs_neural import compare, convert, evaluate, info, inspect, package, predict, train, tune
from scirs_neural.core.command import run_command

FEW, SECONDS = 31, 4.0  # one call in so many is made at every landing; of CPU time, on a busy machine


def _empty_zip() -> bytes:
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    return file.getvalue()


CONTENTS = {
    "empty": b"", "byte": b"x", "object": b"{}", "list": b"[]", "null": b"null", "utf16": b"\xff\xfe\x00",
    "noise": random.Random(0).randbytes(300), "zip head": b"PK\x03\x04" + bytes(40), "empty zip": _empty_zip(),
    "numpy": b"\x93NUMPY", "png": b"\x89PNG\r\n\x1a\n", "row": b"a,b\n1\n", "cell": b"a,b\n" + b"y" * 200_000 + b",2\n",
    "deep": b"[" * 5000, "huge number": b"[1e400]", "NaN": b"[NaN]", "mapping": b"hello: world\n",
    "rows": b'[{"a": 1}, {"a": {"b": [1]}}]', "NUL": b"a,b\n\x00,1\n", "digits": b"9" * 5000,
    "tag": b"!!python/object/apply:os.system [echo]", "anchor": b"a: &a [*a]", "nulls": b'{"a": 1}\nnull\n',
    "escape": b"a\x1b[31m,b\n\x1b]0;x\x07,1\n",
}  # fmt: skip
SUFFIXES = (
    ".pth", ".pt", ".ckpt", ".safetensors", ".zip", ".onnx", ".csv", ".npz", ".json", ".jsonl", ".yaml", ".png", ".pt2",
    ".parquet", ".txt", ".bin", "",
)  # fmt: skip
Call = tuple[str, Callable[[list[str]], Any], list[Any]]


def of_a_file(file: Path, runs: list[Path], out: Path) -> Iterator[Call]:
    """Every command that takes a file, with this one."""
    yield "inspect", inspect.main, [file]
    yield "info", info.main, [file]
    yield "evaluate", evaluate.main, [file]
    yield "compare", compare.main, [file, file]
    yield "package", package.main, [file, "--out", out / "p.zip"]
    yield "convert", convert.main, [file, out / "c.safetensors"]
    yield "convert a network", convert.main, [file, out / "c.zip", "--model", "mlp"]
    yield "predict with it", predict.main, [file, runs[0] / "samples"]
    yield "tune", tune.main, ["--resume", file]
    yield "train from", train.main, ["--from", file, "--check"]
    yield "weights", train.main, ["data=digits", "model=mlp", f"model.weights={file}", "--check"]
    yield "network file", train.main, ["data=digits", f"model={file}", "--check"]
    for run in runs:
        yield f"predict of {run.parent.name}", predict.main, [run, file]
    for kind in ("table", "csv", "text"):
        model = "text_lstm" if kind == "text" else "mlp"
        yield f"train {kind}", train.main, [f"data={kind}", f"data.path={file}", f"model={model}", "--check"]


def of_a_run(run: Path, whole: Path, out: Path) -> Iterator[Call]:
    """Every command that takes a run folder."""
    yield "predict", predict.main, [run, whole / "samples"]
    yield "evaluate", evaluate.main, [run]
    yield "compare", compare.main, [run, whole]
    yield "package", package.main, [run, "--out", out / "p.zip"]
    yield "info", info.main, [run]
    yield "train from", train.main, ["--from", run, "--check"]
    yield "resume", train.main, ["--from", run, f"trainer.resume={run}", "--check"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A finished run on pictures, and one on rows with several targets."""
    from sklearn.datasets import load_wine

    folder = tmp_path_factory.mktemp("odd")
    rows = load_wine(as_frame=True).frame[["alcohol", "ash", "hue", "target"]]
    rows.assign(target=[f"grape {n}" for n in rows["target"]]).to_csv(folder / "wine.csv", index=False)
    short = ["trainer.max_epochs=1", "logger=none", "model=mlp", "model.hidden=[4]", f"paths.runs={folder}"]
    table = ["data=table", f"data.path={folder / 'wine.csv'}", "data.target=[target,hue]"]
    for asked in (["data=digits", "data.image_size=8"], table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Lightning about tiny runs
            assert run_command(train.main, [*asked, *short]) == 0
    return sorted(folder.glob("*/1"))


def fault(call: Call, capsys: pytest.CaptureFixture[str]) -> str | None:
    """What a command did that none may do."""
    name, main, argv = call
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = run_command(main, [str(argument) for argument in argv])
    except BaseException as error:
        return f"{name}: {type(error).__name__}: {error}"
    said = capsys.readouterr()
    if status not in (0, 1, 2):
        return f"{name}: status {status}"
    if status == 2 and "error: " not in said.err and main is not inspect.main:  # whose refusal is its result
        return f"{name}: status 2 without a word"
    if set("\x1b\x07\x00") & set(said.out + said.err):
        return f"{name}: raw characters on the terminal"
    if (spent := time.process_time() - began) > SECONDS:
        return f"{name}: {spent:.1f} s"
    return None


def copied(runs: list[Path], into: Path) -> Iterator[tuple[Path, Path]]:
    """Each run with a copy of it that may be spoilt."""
    for whole in runs:
        yield whole, Path(shutil.copytree(whole, into / whole.parent.name))


def faults(calls: Iterator[tuple[str, Call]], every: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = []
    for number, (what, call) in enumerate(calls):
        if number % every == 0 and (said := fault(call, capsys)):
            found.append(f"{what}, {said}")
    return found


@pytest.mark.parametrize("every", [FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_odd_files(every: int, runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def calls() -> Iterator[tuple[str, Call]]:
        for name, content in CONTENTS.items():
            for suffix in SUFFIXES:
                file = tmp_path / f"odd{suffix}"
                file.write_bytes(content)
                yield from ((f"{name}{suffix}", call) for call in of_a_file(file, runs, tmp_path))

    assert "\n".join(faults(calls(), every, capsys)) == ""


@pytest.mark.parametrize("every", [5 * FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_odd_files_in_run_folders(
    every: int, runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def calls() -> Iterator[tuple[str, Call]]:
        for whole, place in copied(runs, tmp_path):
            files = [file for file in sorted(whole.rglob("*")) if file.is_file() and file.suffix != ".html"]
            for file in files:
                for name, content in CONTENTS.items():
                    (place / file.relative_to(whole)).write_bytes(content)
                    yield from ((f"{file.name} {name}", call) for call in of_a_run(place, whole, tmp_path))
                shutil.copy(file, place / file.relative_to(whole))

    assert "\n".join(faults(calls(), every, capsys)) == ""


@pytest.mark.parametrize("every", [FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_odd_values_in_a_summary(
    every: int, runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is JSON as it should be, and one value of it is of another kind."""

    def calls() -> Iterator[tuple[str, Call]]:
        for whole, place in copied(runs, tmp_path):
            summary = json.loads((whole / "summary.json").read_text())
            paths = [(key,) for key in summary]
            paths += [(key, inner) for key, held in summary.items() if isinstance(held, dict) for inner in held]
            for path in paths:
                for odd in (None, [], {}, "x", -1, 1e300, [[]], {"x": [1]}):
                    changed = json.loads(json.dumps(summary))
                    holder = changed[path[0]] if len(path) == 2 else changed
                    holder[path[-1]] = odd
                    (place / "summary.json").write_text(json.dumps(changed))
                    yield from ((f"{path} = {odd}", call) for call in of_a_run(place, whole, tmp_path))

    assert "\n".join(faults(calls(), every, capsys)) == ""
