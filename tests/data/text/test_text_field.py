"""Texts: tokenizers, padding, what is cut, and files that are refused."""

import csv
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from scirs_neural.config.compose import Request, load_config
from scirs_neural.core.errors import CheckpointError, ConfigError, DataError
from scirs_neural.data import DataSpec, create_data
from scirs_neural.data.context import Context
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.text.field import TextField
from scirs_neural.data.text.source import from_texts
from scirs_neural.data.text.tokenizer import KINDS, load_tokenizer, train_tokenizer
from scirs_neural.runs.groups import config_groups

TEXTS = [f"{mood} {thing}, really {mood}" for mood in ("good", "bad", "fine") for thing in ("film", "plot", "cast")]
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg", "pos", "pos", "pos"]


def data(**settings):
    return from_texts(TEXTS * 4, LABELS * 4, **{"tokenizer": "words", "vocab_size": 50, "batch_size": 8, **settings})


def test_batches_are_padded_to_their_longest_text():
    held = data(tokenizer="bpe", vocab_size=300)
    field = held.pipeline.inputs["text"]
    batch = held.dataset("train").batch([0, 1, 2])
    ids, pad = batch["text"], field.spec["padding_id"]
    assert ids.dtype == torch.int64
    for row, index in zip(ids, range(3), strict=True):
        alone = torch.as_tensor(field.encode(held.dataset("train").raw(index)["text"]))
        assert torch.equal(row[: len(alone)], alone.long())
        assert (row[len(alone) :] == pad).all()
        assert not (alone == pad).any()
    assert (ids != pad).sum(1).max() == ids.shape[1]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_any_text_come_back_and_nobody_writes_padding(kind):
    tokenizer = load_tokenizer(train_tokenizer(kind, TEXTS, 300))
    for text in ("good film", "[PAD] [UNK]", "Grüße, 世界 🙂"):
        ids = tokenizer.encode(text).ids
        assert 0 not in ids
        if kind == "bpe":
            assert tokenizer.decode(ids) == text


def test_the_vocabulary_is_of_the_training_split_alone():
    held = from_texts(
        TEXTS * 2, LABELS * 2, test=(["unheard unheard"] * 2, ["pos", "neg"]), tokenizer="words", vocab_size=50
    )
    known = json.loads(held.spec.input["tokenizer"])["model"]["vocab"]
    assert "film" in known
    assert "unheard" not in known


@pytest.mark.parametrize("kind", KINDS)
def test_every_process_learns_the_same_tokenizer(kind):
    code = (
        "from scirs_neural.data.text.tokenizer import train_tokenizer\n"
        f"print(hash_(train_tokenizer({kind!r}, {TEXTS!r}, 300)))"
    ).replace("hash_", "(lambda t: __import__('hashlib').sha256(t.encode()).hexdigest())")
    seen = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(seen) == 1
    assert seen != {""}


def test_texts_that_are_cut_are_said():
    held = from_texts([*TEXTS, "good " * 40, "bad " * 50], [*LABELS, "pos", "neg"], tokenizer="words", vocab_size=50,
                      max_length=10, val_fraction=0, test_fraction=0)  # fmt: skip
    assert held.spec.input["texts_cut"] == 2
    assert "2 of 11 training texts are longer and cut" in held.pipeline.inputs["text"].describe()
    assert held.dataset("train").batch([9])["text"].shape == (1, 10)


def test_an_empty_text_is_one_unknown_token():
    field = data().pipeline.inputs["text"]
    assert field.encode("").tolist() == field.encode("zzzz").tolist() == [1]
    with pytest.raises(DataError, match="a text is wanted, not int"):
        field.encode(3)


def test_a_tokenizer_of_the_users_keeps_its_marks_when_it_cuts(tmp_path):
    vocabulary = {name: i for i, name in enumerate(["[UNK]", "[CLS]", "[SEP]", "good", "film", "bad"])}
    theirs = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    theirs.pre_tokenizer, theirs.normalizer = pre_tokenizers.Whitespace(), normalizers.Lowercase()
    theirs.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    theirs.enable_padding(length=30)  # of no use here: batches are padded to their longest
    theirs.no_padding()
    theirs.save(str(tmp_path / "tokenizer.json"))
    held = data(tokenizer=str(tmp_path / "tokenizer.json"), max_length=4, vocab_size=None)
    field = held.pipeline.inputs["text"]
    assert field.encode("good film good film good").tolist() == [1, 3, 4, 2]
    assert field.model_arguments() == {"vocab_size": 7, "padding_idx": 6}  # it has no padding: one more is added
    (tmp_path / "tokenizer.json").unlink()  # the spec holds it whole
    spec = DataSpec.from_dict(json.loads(json.dumps(held.spec.to_dict())))
    assert Pipeline(spec).collate([{"id": "a", "text": "bad film"}])["text"].tolist() == [[1, 5, 4, 2]]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tokenizer": "bqe"}, "unknown tokenizer 'bqe'"),
        ({"tokenizer": "./nowhere.json"}, "no such tokenizer"),
        ({"vocab_size": 3}, "vocab_size is a whole number from 10"),
        ({"vocab_size": True}, "vocab_size is a whole number"),
        ({"max_length": -1}, "max_length is a whole number"),
        ({"mixup": 0.2}, "mixup"),
        ({"image_size": 8}, "image_size is for image"),
    ],
)
def test_wrong_settings_are_refused(settings, reason):
    with pytest.raises((ConfigError, DataError), match=reason):
        data(**settings)


@pytest.mark.parametrize(
    "spoil",
    [
        {"tokenizer": "{}"},
        {"tokenizer": '{"model": {"type": "BPE", "vocab": 3}}'},
        {"tokenizer": None},
        {"max_length": "9"},
        {"version": 2},
    ],
)
def test_a_spec_from_a_file_is_checked(spoil):
    spec = {**data().spec.input, **spoil}
    with pytest.raises(CheckpointError):
        TextField.check(spec, "a file")
    TextField.check(data().spec.input, "a file")


def test_the_example_is_made_from_the_description_alone():
    field = TextField("text", data(vocab_size=12).spec.input)
    ids = field.example(5)
    assert ids.shape[0] == 5
    assert ids.max() < field.spec["num_tokens"]
    lengths = (ids != field.spec["padding_id"]).sum(1)
    assert lengths.min() >= 1
    assert len(set(lengths.tolist())) > 1
    assert field.shape() == (None,)


def test_texts_in_class_folders(tmp_path):
    for split, mood in (("train", "pos"), ("train", "neg"), ("test", "neg")):
        (tmp_path / split / mood).mkdir(parents=True)
        for number in range(6):
            (tmp_path / split / mood / f"{number}.txt").write_text(f"{mood} {split} {number}")
    held = create_data("text", path=str(tmp_path), tokenizer="words", vocab_size=20, num_workers=0, val_fraction=0.25)
    assert dict(held.spec.sizes) == {"train": 9, "val": 3, "test": 6}
    assert held.dataset("test").raw(0)["text"] == "neg test 0"
    (tmp_path / "test" / "neg" / "9.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not in UTF-8"):
        create_data("text", path=str(tmp_path))


def test_rows_without_a_label_are_left_out():
    held = from_texts([*TEXTS, "unsure"], [*LABELS, None], tokenizer="words", vocab_size=50, val_fraction=0)
    assert sum(held.spec.sizes.values()) == len(TEXTS)
    assert "1 rows have no target and are left out" in held.source.notes
    with pytest.raises(DataError, match="9 texts and 2 labels"):
        from_texts(TEXTS, ["a", "b"])


ROWS = [
    {"text": each, "target": label, "split": "", "who": f"p{place % 3}"}
    for place, (each, label) in enumerate(zip(TEXTS, LABELS, strict=True))
]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_texts_in_a_table(tmp_path, suffix):
    rows = [
        *ROWS,
        {**ROWS[0], "split": "Test", "text": 'with "quotes", and\na second line'},
        {**ROWS[1], "split": "val"},
    ]
    held = create_data(
        "text", path=write(tmp_path / f"t.{suffix}", rows), tokenizer="words", vocab_size=50, num_workers=0
    )
    assert dict(held.spec.sizes) == {"train": 9, "val": 1, "test": 1}
    assert [held.dataset("train").raw(i)["text"] for i in range(9)] == TEXTS
    assert held.dataset("test").raw(0)["text"] == rows[9]["text"]
    assert held.spec.target["classes"] == ["neg", "pos"]
    assert held.dataset("train").targets.tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]
    assert held.dataset("train").columns["who"] == ["p0", "p1", "p2"] * 3


def test_numbers_and_several_targets_of_texts(tmp_path):
    rows = [{**row, "stars": i / 4} for i, row in enumerate(ROWS * 3)]
    path = write(tmp_path / "t.csv", rows)
    whole = {"tokenizer": "words", "vocab_size": 50, "num_workers": 0}
    assert create_data("text", path=path, target="stars", **whole).spec.target["kind"] == "numbers"
    both = create_data("text", path=path, target=["target", "stars"], **whole)
    assert {name: held["kind"] for name, held in both.spec.targets.items()} == {"target": "class", "stars": "numbers"}
    assert both.dataset("train").batch([0])["stars"].shape == (1, 1)


@pytest.mark.parametrize(
    ("rows", "settings", "reason"),
    [
        (ROWS, {"text": "txt"}, "no column 'txt'"),
        (ROWS, {"target": "labels"}, "no column 'labels'"),
        ([*ROWS, {**ROWS[0], "split": "trian"}], {}, "unknown split 'trian'"),
        ([{**row, "split": "test"} for row in ROWS], {}, "no rows to learn from"),
        ([*ROWS, {**ROWS[0], "split": "test", "target": "new"}], {}, "'new' is not among"),
    ],
)
def test_tables_that_do_not_fit_say_why(tmp_path, rows, settings, reason):
    with pytest.raises((DataError, ConfigError), match=reason):
        create_data("text", path=write(tmp_path / "t.csv", rows), **settings)


def test_collating_is_the_same_with_and_without_targets():
    held = data()
    rows = [held.dataset("val").raw(index) for index in range(2)]
    with_targets = held.pipeline.collate(rows, targets=True)
    alone = held.pipeline.collate([{"id": row["id"], "text": row["text"]} for row in rows], Context("predict"))
    assert torch.equal(with_targets["text"], alone["text"])
    assert "label" not in alone
    assert np.issubdtype(held.pipeline.inputs["text"].encode("good").dtype, np.integer)


@pytest.mark.parametrize(
    ("target", "kinds"),
    [
        (["stars", "score"], {"stars": "class", "score": "numbers"}),
        (["score", "length"], {"target": "numbers"}),
        (["rude", "kind"], {"target": "labels"}),
        (["stars", "mood"], {"stars": "class", "mood": "class"}),
        ("score", {"target": "numbers"}),
    ],
)
def test_several_targets_are_those_of_a_table(tmp_path, monkeypatch, target, kinds):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": text, "stars": i % 3 + 1, "score": i / 7, "length": i / 3 + len(text), "rude": i % 2,
         "kind": i // 2 % 2, "mood": LABELS[i % 9]}
        for i, text in enumerate(TEXTS * 4)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv("t.csv", index=False)
    names = target if isinstance(target, str) else f"[{','.join(target)}]"
    typed = ["data=text", "data.path=t.csv", f"data.target={names}", "model=bag_of_embeddings"]
    config = load_config(Request(typed), config_groups())
    assert config.model_dump()["data"]["target"] == target
    text, judge = (create_data(name, path="t.csv", target=target) for name in ("text", "table"))
    assert {name: held["kind"] for name, held in text.spec.targets.items()} == kinds
    for name, held in text.spec.targets.items():
        assert held == judge.spec.targets[name]
        np.testing.assert_array_equal(text.source.train.known(name), judge.source.train.known(name))
    assert [value for _, value in text.pipeline.inputs["text"].read(tmp_path / "t.csv")] == TEXTS * 4


def test_texts_without_a_target_doubled_names_and_files_passed_over_are_said(tmp_path):
    rows = [[text, text, ["p", "n", "NA", ""][i % 4]] for i, text in enumerate(TEXTS * 4)]
    pd.DataFrame(rows, columns=["text", "text", "target"]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(UserWarning, match=r"9 of 36 rows are left out: .*category:NA"):
        notes = create_data("text", path=str(tmp_path / "t.csv")).source.notes
    assert any("18 rows have no target" in note for note in notes)
    assert any("two columns are called 'text'" in note for note in notes)
    kept = create_data("text", path=str(tmp_path / "t.csv"), columns={"target": "category:NA"})
    assert kept.spec.target["classes"] == ["NA", "n", "p"]
    for kind in ("p", "n"):
        (tmp_path / "r" / kind).mkdir(parents=True)
        for i, text in enumerate(TEXTS):
            (tmp_path / "r" / kind / f"{i}.txt").write_text(text)
    (tmp_path / "r" / "p" / "more.rtf").write_text("x")
    (tmp_path / "r" / "loose.txt").write_text("x")
    assert create_data("text", path=str(tmp_path / "r")).source.notes == ["2 files are passed over: .rtf (1), .txt (1)"]
