"""The task: how many events are to be expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scirs_neural.data.context import Batch, Context
from scirs_neural.tasks import Task

if TYPE_CHECKING:
    from torch import Tensor

    from sunspots.predictions import CountPredictions


class Counting(Task):
    """The network gives the log of the expected count; the loss is Poisson's.

    Args:
        spec: with one target of kind "count".
        loss: "poisson", or the name of a loss of log counts; "auto": the first.
        metrics: names of further metrics.
    """

    name = "counting"
    main_metric = "deviance"
    traits = {"targets": ("count",)}

    def __init__(self, spec: Any, *, loss: str = "auto", metrics: Sequence[str] = ()) -> None:
        super().__init__(spec, loss=loss, metrics=list(metrics))
        self.target = next(iter(spec.targets))

    @property
    def predictions(self) -> type[CountPredictions]:
        """Expected and true counts."""
        from sunspots.predictions import CountPredictions

        return CountPredictions

    def losses(self, outputs: Tensor, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Minus the log-likelihood, or the loss that was named."""
        from torch.nn.functional import poisson_nll_loss

        from scirs_neural.losses import create_loss

        logs, counts = outputs.float(), batch[self.target]
        if self.options["loss"] in ("auto", "poisson"):
            return {"poisson": poisson_nll_loss(logs, counts)}
        return {self.options["loss"]: create_loss(self.options["loss"])(logs, counts)}

    def to_tensors(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``expected`` (N,)."""
        return {"expected": outputs.float().exp()}

    def target_arrays(self, outputs: Any, batch: Batch) -> dict[str, Any]:
        """``target`` (N,)."""
        return {"target": batch[self.target].cpu().numpy()}

    def decode(self, columns: Mapping[str, Any]) -> list[Any]:
        """The expected count."""
        return [{"expected": round(float(mean), 3)} for mean in columns["expected"]]
