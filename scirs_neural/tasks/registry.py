"""Tasks by name. Imports no torch.

The trait ``targets`` names the kinds of targets that a task is for: data with one target of such a kind gets it by
itself. The trait ``heads`` marks a task of several targets.
"""

from __future__ import annotations

from scirs_neural.core.registry import Registry

TASKS = Registry("task", supplied=("spec",))
_SHARED = {"loss": "auto", "metrics": ()}
TASKS.add("auto", "scirs_neural.tasks.create:create_task", summary="what the data's targets are for", options={})
TASKS.add(
    "classification", "scirs_neural.tasks.classification.task:Classification",
    summary="one class of several", options={"label_smoothing": 0.0, "class_weights": None, **_SHARED},
    traits={"targets": ("class",)},
)  # fmt: skip
TASKS.add(
    "multi_label", "scirs_neural.tasks.multi_label.task:MultiLabel",
    summary="any number of several classes", options=_SHARED, traits={"targets": ("labels",)},
)  # fmt: skip
TASKS.add(
    "regression", "scirs_neural.tasks.regression.task:Regression",
    summary="one number, or several", options=_SHARED, traits={"targets": ("numbers",)},
)  # fmt: skip
TASKS.add(
    "segmentation", "scirs_neural.tasks.segmentation.task:Segmentation",
    summary="a class for each pixel of a picture", options=_SHARED, traits={"targets": ("mask",)},
)  # fmt: skip
TASKS.add(
    "multi_task", "scirs_neural.tasks.multi_task.task:MultiTask",
    summary="several targets, each with a head and a task of its own",
    options={"tasks": None, "weights": None, "main": None}, traits={"heads": True},
)  # fmt: skip
