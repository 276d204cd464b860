"""The page: whole, self-contained, escaped, and made of what there is."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from scirs_neural.core.errors import DataError
from scirs_neural.evaluation import evaluate
from scirs_neural.runs.report import Judged, file_image, write_report
from scirs_neural.tasks.multi_task.predictions import ManyPredictions
from scirs_neural.tasks.regression.predictions import NumberPredictions

from .conftest import real_runs

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Collects tags, checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(runs, image):
    return Page(write_report(runs[0].path, show=image).read_text(encoding="utf-8"))


@pytest.mark.feature(132)
def test_opens_without_a_network(runs, page):
    text = (runs[0].path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"//|url\(|@import", re.sub(r"data:image/png;base64,[^\"]*", "", text))
    assert not page.all("script") + page.all("link") + page.all("iframe")
    assert all(a.get("href", "#").startswith("#") for a in page.all("a"))
    sources = [img["src"] for img in page.all("img")]
    assert len(sources) == 6
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data, validate=True))).verify()


def test_holds_the_figures(runs, page):
    evaluation = evaluate(runs[0].predictions())
    score = evaluation.metrics["accuracy"]
    assert f"{100 * score.value:.2f} % test accuracy, 360 samples; 95 % interval {100 * score.low:.2f} %" in page.text
    for name in (
        "macro F1",
        "log loss",
        "Brier score",
        "650 parameters",
        "640 multiply-adds",
        "CC BY 4.0",
        "Training time",
    ):
        assert name in page.text
    assert f"Best epoch {runs[0].summary['best']['epoch']}, val/accuracy" in page.text
    assert "2 x something odd <b>" in page.text
    assert all(mistake.id in page.text for mistake in evaluation.details["worst"][:20])
    assert "python -m scirs_neural.evaluate " in page.text
    assert "split_seed: 0" in page.text


def test_can_be_read_by_everybody(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert set(levels) == {1, 2}
    assert all(len(img["alt"]) > 20 for img in page.all("img"))
    anchors = {h2["id"] for h2 in page.all("h2")}
    assert {a["href"][1:] for a in page.all("a")} == anchors
    assert all(th.get("scope") in ("row", "col") for th in page.all("th"))


def test_the_plots_lie_in_the_folder(runs, page):
    names = ("curves", "learning_rate", "confusion", "reliability", "worst_errors", "inputs")
    for name in names:
        with Image.open(runs[0].path / "plots" / f"{name}.png") as picture:
            assert picture.size[0] > 500


def test_everything_is_escaped(runs, tmp_path):
    folder = tmp_path / "evil-<script>alert(1)</script>" / "1"
    shutil.copytree(runs[0].path, folder)
    bad = '<script>alert("x")</script>'
    pred = runs[0].predictions()
    ids, classes = [f"{bad}{i}" for i in range(len(pred))], [f"{bad}{c}" for c in range(10)]
    type(pred)(ids, pred.columns, {"classes": classes}).save(folder / "predictions" / "test")
    summary = json.loads((folder / "summary.json").read_text())
    summary["model"]["name"] = summary["data"]["description"] = summary["data"]["licence"] = bad
    summary["data"]["classes"] = [bad] * 10
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text(f"note: '{bad}'\n")
    (folder / "metrics.csv").write_text(f"epoch,val/loss,{bad.replace(chr(34), '')}/x\n0,1,2\n")
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert not page.all("script")
    assert bad in page.text


@pytest.mark.parametrize(
    ("gone", "notes"),
    [
        (
            ["predictions/test", "plots/input_batch.npz", "environment.json"],
            ["The validation set chose the best epoch", "kept no batch of pictures"],
        ),
        (
            ["predictions/test", "predictions/val", "metrics.csv", "config.yaml", "environment.json"],
            ["softmax on digits", "left no predictions", "There is no metrics.csv", "Settings None were kept"],
        ),
        (
            ["summary.json", "metrics.csv", "environment.json", "predictions/test", "predictions/val"],
            ["softmax on digits"],
        ),
    ],
)
def test_what_is_missing_is_left_out_with_a_note(gone, notes, runs, tmp_path):
    shutil.copytree(runs[0].path, tmp_path / "1", ignore=shutil.ignore_patterns("*.png", "report.html"))
    for name in gone:
        path = tmp_path / "1" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = Page(write_report(tmp_path / "1").read_text(encoding="utf-8")).text
    assert [note for note in notes if note not in text] == []


def test_damaged_files_are_errors(runs, tmp_path):
    shutil.copytree(runs[0].path, tmp_path / "1")
    (tmp_path / "1" / "plots" / "input_batch.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="no file of inputs"):
        write_report(tmp_path / "1")


def test_several_labels_and_many_classes(runs, tmp_path):
    random = np.random.default_rng(0)
    for name, targets, k in (("many", random.integers(0, 2, (60, 5)), 5), ("wide", random.integers(0, 60, 60), 60)):
        folder = tmp_path / name
        shutil.copytree(runs[0].path, folder, ignore=shutil.ignore_patterns("*.png", "summary.json"))
        p = random.random((60, k)) / (1 if name == "many" else k)
        pred = real_runs.predictions([str(i) for i in range(60)], targets, p, [f"c{i}" for i in range(k)])
        pred.save(folder / "predictions" / "test")
        text = Page(write_report(folder).read_text(encoding="utf-8")).text
        assert ("exact match" in text) == (name == "many")
        assert ("All 60 classes" in text) == (name == "wide")
        assert "pictures of these samples are not at hand" in text


def test_numbers_and_several_targets(runs, tmp_path):
    random = np.random.default_rng(0)
    target = random.normal(size=(60, 2))
    numbers = {"numbers": target + random.normal(size=(60, 2)), "target": target}
    names, ids = {"names": ["height", "weight"]}, [str(i) for i in range(60)]
    classes = runs[0].predictions().select(np.arange(60))
    parts = {"digit": ("class", classes), "size": ("numbers", NumberPredictions(ids, numbers, names))}
    columns = {f"{name}.{k}": v for name, (_, part) in parts.items() for k, v in part.columns.items()}
    header = {"targets": {name: {"kind": kind, "header": part.header} for name, (kind, part) in parts.items()}}
    for name, pred, words in (
        ("one", NumberPredictions(ids, numbers, names), ["R2", "height", "Outputs", "mean absolute error"]),
        ("many", ManyPredictions(ids, columns, header), ["digit: Confusion", "size: Outputs", "digit/macro F1"]),
    ):
        folder = tmp_path / name
        shutil.copytree(runs[0].path, folder, ignore=shutil.ignore_patterns("*.png", "summary.json", "test"))
        pred.save(folder / "predictions" / "test")
        page = Page(write_report(folder).read_text(encoding="utf-8"))
        assert [word for word in words if word not in page.text] == []
        anchors = [h2["id"] for h2 in page.all("h2")]
        assert len(set(anchors)) == len(anchors)
    assert (tmp_path / "many" / "plots" / "digit-confusion.png").is_file()


def test_texts_stand_beside_the_errors(runs, tmp_path):
    shutil.copytree(runs[0].path, tmp_path / "1", ignore=shutil.ignore_patterns("*.png"))
    page = Page(write_report(tmp_path / "1", show=lambda name: f"text of {name}").read_text(encoding="utf-8"))
    assert "text of digits[" in page.text
    assert not (tmp_path / "1" / "plots" / "worst_errors.png").exists()


def test_what_is_judged_already_is_not_judged_again(runs, tmp_path, monkeypatch):
    shutil.copytree(runs[0].path, tmp_path / "1", ignore=shutil.ignore_patterns("*.png"))
    pred = runs[0].predictions()
    judged = Judged("test", pred, evaluate(pred, num_resamples=10))
    monkeypatch.setattr("scirs_neural.runs.report.evaluate", lambda pred: pytest.fail("judged twice"))
    assert "10 resamples." in Page(write_report(tmp_path / "1", judged=judged).read_text()).text


def test_runs_of_older_versions_have_a_report(runs, tmp_path):
    """Their predictions are one file, and their summary describes the data in its first format."""
    shutil.copytree(runs[0].path, tmp_path / "1", ignore=shutil.ignore_patterns("*.png", "predictions"))
    pred = runs[0].predictions()
    (tmp_path / "1" / "predictions").mkdir()
    np.savez_compressed(
        tmp_path / "1" / "predictions" / "test.npz", ids=np.array(list(pred.ids)), targets=pred.columns["target"],
        probabilities=pred.columns["probabilities"], classes=np.array(pred.classes),
    )  # fmt: skip
    text = Page(write_report(tmp_path / "1").read_text(encoding="utf-8")).text
    assert "test accuracy, 360 samples" in text
    assert "10 classes (0, 1, 2" in text


def test_pictures_of_ids_that_are_files(tmp_path):
    Image.new("RGB", (400, 200), "red").save(tmp_path / "a.png")
    assert file_image(str(tmp_path / "a.png")).shape == (80, 160, 3)
    (tmp_path / "b.png").write_text("no picture")
    assert file_image(str(tmp_path / "b.png")) is None
    assert file_image("digits[3]") is None
