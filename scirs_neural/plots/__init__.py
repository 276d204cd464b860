"""Plots of a run, and the page that holds them. matplotlib's figures without pyplot's global state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.plots.calibration import reliability_diagram as reliability_diagram
    from scirs_neural.plots.confusion import confusion_matrix as confusion_matrix
    from scirs_neural.plots.confusion import label_counts as label_counts
    from scirs_neural.plots.curves import learning_rate as learning_rate
    from scirs_neural.plots.curves import training_curves as training_curves
    from scirs_neural.plots.images import input_grid as input_grid
    from scirs_neural.plots.images import worst_errors as worst_errors
    from scirs_neural.plots.numbers import predicted_against_true as predicted_against_true
    from scirs_neural.plots.numbers import residuals as residuals

lazy(globals())
