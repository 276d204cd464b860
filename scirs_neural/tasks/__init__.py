"""What is asked of a network: losses, answers, and how those are judged. One folder a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.tasks.classification.task import Classification as Classification
    from scirs_neural.tasks.create import create_task as create_task
    from scirs_neural.tasks.multi_label.task import MultiLabel as MultiLabel
    from scirs_neural.tasks.multi_task.task import MultiTask as MultiTask
    from scirs_neural.tasks.registry import TASKS as TASKS
    from scirs_neural.tasks.regression.task import Regression as Regression
    from scirs_neural.tasks.task import Graph as Graph
    from scirs_neural.tasks.task import Phase as Phase
    from scirs_neural.tasks.task import Task as Task

lazy(globals())
