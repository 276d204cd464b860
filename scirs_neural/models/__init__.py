"""The zoo. ``MODELS`` maps names to builders, `list_models` finds names, `create_model` builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.models.catalog import ModelEntry as ModelEntry
    from scirs_neural.models.catalog import WeightsEntry as WeightsEntry
    from scirs_neural.models.catalog import catalogue as catalogue
    from scirs_neural.models.create import check_input as check_input
    from scirs_neural.models.create import create_model as create_model
    from scirs_neural.models.meta import on_meta as on_meta
    from scirs_neural.models.registry import MODELS as MODELS
    from scirs_neural.models.registry import list_models as list_models
    from scirs_neural.models.weights import LoadReport as LoadReport
    from scirs_neural.models.weights import load_strictly as load_strictly
    from scirs_neural.models.weights import load_weights as load_weights

lazy(globals())
