"""Losses by name. torch's own classes under torch's argument names, and the few that torch lacks.

Every loss is called as ``loss(input, target)`` and gives a scalar unless ``reduction="none"``. `create_loss` builds one
from a name, a mapping with options, a user's ``./my.py:Tversky``, or a list of weighted terms. Nothing here imports
torch until a loss is built.

Example:
    >>> from scirs_neural.losses import LOSSES
    >>> sorted(LOSSES.names("c*"))
    ['contrastive', 'cosine_embedding', 'cross_entropy', 'ctc', 'ctc_sequence']
    >>> dict(LOSSES.options("huber"))
    {'reduction': 'mean', 'delta': 1.0}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.losses.composite import CompositeLoss as CompositeLoss
    from scirs_neural.losses.create import create_loss as create_loss
    from scirs_neural.losses.ctc import ctc_beam_decode as ctc_beam_decode
    from scirs_neural.losses.ctc import ctc_greedy_decode as ctc_greedy_decode
    from scirs_neural.losses.reduction import WeightedLoss as WeightedLoss
    from scirs_neural.losses.reduction import reduce_loss as reduce_loss
    from scirs_neural.losses.registry import LOSSES as LOSSES

lazy(globals())
