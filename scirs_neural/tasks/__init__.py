"""What is learnt. One LightningModule a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scirs_neural.core.registry import Registry

if TYPE_CHECKING:
    from scirs_neural.tasks.build import create_task as create_task
    from scirs_neural.tasks.classification import ImageClassification as ImageClassification
    from scirs_neural.tasks.regression import Regression as Regression

TASKS = Registry("task")
TASKS.add(
    "image_classification",
    "scirs_neural.tasks.classification:ImageClassification",
    summary="one class, or any number of classes, for an image",
    options={},
)
TASKS.add(
    "table_classification",
    "scirs_neural.tasks.classification:ImageClassification",
    summary="one class for a row of numbers",
    options={},
)
TASKS.add("regression", "scirs_neural.tasks.regression:Regression", summary="numbers for a row of numbers", options={})

_PUBLIC = {
    "create_task": "scirs_neural.tasks.build",
    "ImageClassification": "scirs_neural.tasks.classification",
    "Regression": "scirs_neural.tasks.regression",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
