"""What TensorBoard shows beside scalars: histograms, input images, the network's graph, hyper-parameters."""

from __future__ import annotations

import warnings
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torchvision.utils import make_grid

from scirs_neural.training.module import Module

MAX_IMAGES = 64


class TensorBoardExtras(L.Callback):
    """Writes histograms, images and the graph to the run's TensorBoard events.

    Args:
        histograms: weights and gradients at each epoch's last step.
        images: a grid of the first training batch, as the net sees it, scaled to 0..1.
        graph: the traced network.
    """

    def __init__(self, *, histograms: bool, images: bool, graph: bool) -> None:
        self.histograms, self.images, self.graph = histograms, images, graph

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Write the grid and the graph once, from the first batch."""
        if trainer.global_step > 0 or batch_idx > 0 or not (self.images or self.graph):
            return
        if not isinstance(module, Module):
            return
        events, first = self._events(trainer), batch[0] if isinstance(batch, list) else batch
        inputs = [first[name] for name in module.spec.inputs]
        if self.images and inputs and isinstance(inputs[0], torch.Tensor) and inputs[0].ndim == 4:
            grid = make_grid(inputs[0][:MAX_IMAGES].detach().float().cpu(), normalize=True, scale_each=False)
            events.add_image("inputs", grid, 0)
        if self.graph:
            with warnings.catch_warnings():  # SummaryWriter traces, which torch deprecates; it has no other way yet
                warnings.simplefilter("ignore")
                module.eval()
                events.add_graph(module.model, [value[:1] for value in inputs])
                module.train()

    def on_before_zero_grad(self, trainer: L.Trainer, module: L.LightningModule, optimizer: Any) -> None:
        """Write histograms at an epoch's last step, while the gradients are still there."""
        if not (self.histograms and trainer.is_last_batch):
            return
        events = self._events(trainer)
        for name, parameter in module.named_parameters():
            events.add_histogram(f"weights/{name}", parameter.detach().float().cpu(), trainer.current_epoch)
            if parameter.grad is not None and torch.isfinite(parameter.grad).all():
                events.add_histogram(f"gradients/{name}", parameter.grad.detach().float().cpu(), trainer.current_epoch)

    def _events(self, trainer: L.Trainer) -> Any:
        logger = next(held for held in trainer.loggers if isinstance(held, TensorBoardLogger))
        return logger.experiment
