"""Optimizers and learning-rate schedules by name, and the parameter groups that they work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.optim.build import build_optimizer as build_optimizer
    from scirs_neural.optim.curvature import hessian_vector_product as hessian_vector_product
    from scirs_neural.optim.curvature import per_sample_gradients as per_sample_gradients
    from scirs_neural.optim.groups import ParameterGroup as ParameterGroup
    from scirs_neural.optim.groups import parameter_groups as parameter_groups
    from scirs_neural.optim.registry import OPTIMIZERS as OPTIMIZERS
    from scirs_neural.optim.registry import SCHEDULERS as SCHEDULERS

lazy(globals())
