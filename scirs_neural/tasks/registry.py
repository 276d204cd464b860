"""The table of tasks. Imports no torch."""

from __future__ import annotations

from scirs_neural.core.registry import Registry

TASKS = Registry("task")
TASKS.add(
    "image_classification",
    "scirs_neural.tasks.classification.lightning_module:ImageClassification",
    summary="one class, or any number of classes, for an image",
    options={},
)
TASKS.add(
    "table_classification",
    "scirs_neural.tasks.classification.lightning_module:ImageClassification",
    summary="one class for a row of numbers",
    options={},
)
TASKS.add(
    "regression",
    "scirs_neural.tasks.regression.lightning_module:Regression",
    summary="numbers for a row of numbers",
    options={},
)
