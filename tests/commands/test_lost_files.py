"""Nothing of the user's is lost by what is written: not an input, not an older file, not a file of another kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import scirs_neural as sn
from scirs_neural import convert, package, predict
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import StorageError
from scirs_neural.runs.answer_files import AnswerFile
from scirs_neural.runs.predictor import Prediction
from scirs_neural.serialization.convert import convert as convert_file

OLD = "source,answer\nan,older answer\n"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a network of numbers."""
    target = tmp_path_factory.mktemp("packed") / "net.zip"
    return sn.save_package(target, sn.create_model("cnn", num_classes=2, in_channels=1, width=4, depth=1))


WRITERS: dict[str, Callable[[Path, Path], object]] = {
    "package": lambda source, target: sn.save_package(target, sn.load_package(source).model),
    "package migrate": lambda source, target: run_or_raise(package.main, ["migrate", source, "--out", target]),
    **{
        f"convert {kind}": lambda source, target, kind=kind: convert_file(source, target, to=kind)
        for kind in ("package", "safetensors", "torch", "torch-export", "onnx", "huggingface")
    },
}


def run_or_raise(main: Callable[[list[str]], object], argv: list[object]) -> None:
    main([str(part) for part in argv])


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("content", [OLD.encode(), b"PK\x03\x04 a zip that is broken off"])
def test_a_file_of_another_kind_is_not_overwritten(writer: str, content: bytes, packed: Path, tmp_path: Path) -> None:
    target = tmp_path / "theirs.zip"
    target.write_bytes(content)
    with pytest.raises(StorageError, match="will not overwrite"):
        WRITERS[writer](packed, target)
    assert target.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.zip"]


def test_weights_do_not_take_the_place_of_a_training_checkpoint(packed: Path, tmp_path: Path) -> None:
    target = tmp_path / "last.pt"
    torch.save({"pytorch-lightning_version": "2.6", "state_dict": {}, "epoch": 3}, target)
    before = target.read_bytes()
    with pytest.raises(StorageError, match="a checkpoint of Lightning"):
        convert_file(packed, target)
    assert target.read_bytes() == before


def test_one_of_its_own_kind_is_overwritten(packed: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "a.safetensors", "a.pt", "a"):
        for _ in range(2):
            assert convert_file(packed, tmp_path / name).difference == 0


@pytest.mark.parametrize("main", [convert.main, package.main])
def test_a_source_that_is_the_target_is_refused(
    main: Callable[[list[str]], int | None], packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, link = tmp_path / "net.zip", tmp_path / "again.zip"
    source.write_bytes(packed.read_bytes())
    link.symlink_to(source)
    argv = [str(source), str(link)] if main is convert.main else ["migrate", str(source), "--out", str(link)]
    assert run_command(main, argv) == 2
    assert "is read and would be overwritten" in capsys.readouterr().err
    assert source.read_bytes() == packed.read_bytes()


def rows(path: Path, count: int = 3) -> Path:
    """A file of new rows for the table run."""
    text = {
        ".csv": "a,b\n" + "".join(f"{i}.5,{-i}\n" for i in range(count)),
        ".jsonl": "".join(f'{{"a": {i}.5, "b": {-i}}}\n' for i in range(count)),
        ".json": "[" + ",".join(f'{{"a": {i}.5, "b": {-i}}}' for i in range(count)) + "]",
    }
    path.write_text(text[path.suffix])
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
@pytest.mark.parametrize("how", ["its own name", "a link", "its folder", "a pattern"])
def test_predict_does_not_write_over_what_it_reads(
    suffix: str, how: str, table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = rows(tmp_path / f"in{suffix}")
    before, output = source.read_text(), source
    if how == "a link":
        output = tmp_path / f"out{suffix}"
        output.symlink_to(source)
    typed = {"its folder": str(tmp_path), "a pattern": f"{tmp_path}/in*"}.get(how, str(source))
    assert run_command(predict.main, [str(table_run), typed, "--output", str(output)]) == 2
    assert "is read and would be overwritten" in capsys.readouterr().err
    assert source.read_text() == before
    assert {path.name for path in tmp_path.iterdir()} == {source.name, output.name}


@pytest.mark.parametrize("own", ["summary.json", "metrics.csv"])
def test_predict_does_not_write_over_the_runs_own_files(own: str, table_run: Path, tmp_path: Path) -> None:
    before = (table_run / own).read_bytes()
    argv = [str(table_run), str(rows(tmp_path / "in.csv")), "--output", str(table_run / own)]
    assert run_command(predict.main, argv) == 2
    assert (table_run / own).read_bytes() == before


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_older_answers_stay_until_the_new_ones_are_whole(
    suffix: str, table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"old{suffix}"
    output.write_text(OLD)
    bad = tmp_path / "bad.csv"
    bad.write_text("another,thing\n1,2\n")
    assert run_command(predict.main, [str(table_run), str(bad), "--output", str(output)]) != 0
    assert output.read_text() == OLD
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert run_command(predict.main, [str(table_run), str(rows(tmp_path / "in.csv")), "--output", str(output)]) == 0
    assert output.read_text() != OLD
    capsys.readouterr()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_answers_until_a_break_are_kept_beside(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"answers{suffix}"
    output.write_text(OLD)
    heard: list[str] = []
    with pytest.raises(KeyboardInterrupt), AnswerFile(output, heard.append) as file:  # noqa: PT012 - what is tested
        file.write(Prediction("one", {"class": "a"}))
        raise KeyboardInterrupt
    kept = tmp_path / f"answers.partial{suffix}"
    assert output.read_text() == OLD
    assert "one" in kept.read_text()
    if suffix == ".json":
        assert json.loads(kept.read_text())[0]["source"] == "one"
    assert heard == [f"broken off: the 1 answers until then are in {kept}"]
    assert {path.name for path in tmp_path.iterdir()} == {output.name, kept.name}


def test_predictions_are_not_saved_over_a_folder_of_something_else(table_run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match=r"holds other files, and no header\.json"):
        sn.load_run(table_run).predictions().save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
