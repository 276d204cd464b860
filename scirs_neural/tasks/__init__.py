"""What is learnt. One LightningModule a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.tasks.build import create_task as create_task
    from scirs_neural.tasks.classification.lightning_module import ImageClassification as ImageClassification
    from scirs_neural.tasks.registry import TASKS as TASKS
    from scirs_neural.tasks.regression.lightning_module import Regression as Regression

lazy(
    globals(),
    {
        "build": ["create_task"],
        "classification.lightning_module": ["ImageClassification"],
        "registry": ["TASKS"],
        "regression.lightning_module": ["Regression"],
    },
)
