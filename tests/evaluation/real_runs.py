"""Run folders with real content: linear models of scikit-learn, trained on its digits, epoch by epoch."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from scirs_neural.evaluation import Predictions
from scirs_neural.tasks.classification.predictions import ClassPredictions
from scirs_neural.tasks.multi_label.predictions import LabelPredictions

CLASSES = tuple("0123456789")
EPOCHS = 12


def predictions(ids, targets, probabilities, classes) -> Predictions:
    """Of one class a sample, or of several labels where targets are rows."""
    kind = LabelPredictions if np.ndim(targets) == 2 else ClassPredictions
    return kind(
        ids, {"probabilities": np.asarray(probabilities), "target": np.asarray(targets)}, {"classes": list(classes)}
    )


def splits(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(images (N, 64) on 0..1, targets, positions in the data) of train, val and test."""
    data = load_digits()
    positions = np.arange(len(data.target))
    rest, test = train_test_split(positions, test_size=0.2, stratify=data.target, random_state=seed)
    train, val = train_test_split(rest, test_size=0.1, stratify=data.target[rest], random_state=seed)
    return {
        name: (data.data[chosen] / 16, data.target[chosen], chosen)
        for name, chosen in (("train", train), ("val", val), ("test", test))
    }


def image(sample: str) -> np.ndarray:
    """The 8 x 8 scan, on 0..1, of a sample's id."""
    return load_digits().images[int(sample.partition("[")[2].rstrip("]"))] / 16


def write_run(folder: Path, *, lr: float = 0.003, seed: int = 0, split_seed: int = 0) -> Path:
    """Train a softmax regression and write what a training run writes."""
    parts = splits(split_seed)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=lr, random_state=seed, alpha=1e-5)
    rows, best = [], {"epoch": 0, "metric": "val/accuracy", "value": -1.0}
    x, y, _ = parts["train"]
    for epoch in range(EPOCHS):
        model.set_params(eta0=lr * (0.5 + 0.5 * math.cos(math.pi * epoch / EPOCHS)))
        model.partial_fit(x, y, classes=np.arange(10))
        row: dict[str, float | str] = {"epoch": epoch, "step": (epoch + 1) * 20}
        row["train/loss"] = log_loss(y, model.predict_proba(x))
        row["val/loss"] = log_loss(parts["val"][1], model.predict_proba(parts["val"][0]))
        row["val/accuracy"] = model.score(parts["val"][0], parts["val"][1])
        row["lr"] = model.eta0
        if row["val/accuracy"] > best["value"]:
            best = {"epoch": epoch + 1, "metric": "val/accuracy", "value": row["val/accuracy"]}
        rows.append(row)
    rows[0]["train/loss"] = ""  # a cell may be empty
    folder.mkdir(parents=True)
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    test_score = 0.0
    for split in ("val", "test"):
        images, targets, positions = parts[split]
        probabilities = model.predict_proba(images)
        predictions([f"digits[{i}]" for i in positions], targets, probabilities, CLASSES).save(
            folder / "predictions" / split
        )
        test_score = float((probabilities.argmax(1) == targets).mean())
    config = {
        "seed": seed,
        "model": {"name": "softmax", "weights": None},
        "data": {"name": "digits", "split_seed": split_seed},
        "optimizer": {"name": "sgd", "lr": lr},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    pre = {"channels": 1, "size": [8, 8], "resize": None, "interpolation": "bilinear", "mean": [0.305], "std": [0.376]}
    spec = {
        "name": "digits",
        "task": "image_classification",
        "classes": list(CLASSES),
        "preprocess": pre,
        "sizes": {name: len(part[1]) for name, part in parts.items()},
        "multi_label": False,
        "description": "1,797 scans of handwritten digits, 8 x 8 px, from scikit-learn",
        "licence": "CC BY 4.0",
    }
    summary = {
        "name": folder.name,
        "model": {"name": "softmax", "num_params": 650, "macs": 640},
        "data": spec,
        "best": best,
        "test": {"accuracy": test_score},
        "timing": {"train_sec": 1.5, "sec_per_epoch": 0.1},
        "warnings": {"something odd <b>": 2},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    versions = {"python": "3.11.7", "scikit-learn": "1.9.1", "numpy": "2.4.6"}
    (folder / "environment.json").write_text(json.dumps({"versions": versions, "device": "cpu", "num_threads": 1}))
    (folder / "plots").mkdir()
    batch = parts["train"][0][:64].reshape(-1, 1, 8, 8).astype(np.float32)
    np.savez(folder / "plots" / "input_batch.npz", images=(batch - 0.305) / 0.376, targets=parts["train"][1][:64])
    return folder
