"""Using a trained task: probabilities of a loader's samples, and of single images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.tasks.classification.lightning_module import ImageClassification

T = TypeVar("T")
R = TypeVar("R")


def predict_loader(task: ImageClassification, loader: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities (N, K) and targets (N,) or (N, K) of every sample of a loader, in its order."""
    probabilities, targets = [], []
    with evaluating(task):
        for batch in loader:
            images, labels = task.parts_of(batch)
            probabilities.append(task.probabilities(task(images.to(task.device))).cpu())
            targets.append(labels)
    return torch.cat(probabilities).numpy(), torch.cat(targets).numpy()


def classify(
    task: ImageClassification, inputs: Any, *, top_k: int = 1, batch_size: int = 64, num_workers: int = 0
) -> Iterator[tuple[str, list[str], list[float]]]:
    """The most probable classes of images, one image after the other.

    Args:
        task: in evaluation mode or not; its mode is kept.
        inputs: a path, a PIL image, an array (H, W) or (H, W, C) of uint8, or any iterable of those.
        top_k: how many classes to name.
        batch_size: images at a time.
        num_workers: threads that read and prepare images while the network looks at earlier ones. The answers are the
            same, in the same order, and so is the first error.

    Yields:
        What the image is called, the names of its most probable classes, and their probabilities.

    Raises:
        DataError: a file is no image, or damaged; an array has the wrong shape or type.
    """
    (held,) = Pipeline(task.spec).inputs.values()
    classes = task.spec.target["classes"]
    top_k = min(top_k, len(classes))
    queue: list[tuple[str, Tensor]] = []

    def flush() -> Iterator[tuple[str, list[str], list[float]]]:
        with evaluating(task):
            shares = task.probabilities(task(torch.stack([image for _, image in queue]).to(task.device))).cpu()
        best = shares.topk(top_k, dim=1)
        for (name, _), values, places in zip(queue, best.values.tolist(), best.indices.tolist(), strict=True):
            yield name, [classes[place] for place in places], values
        queue.clear()

    def ready(named: tuple[str, Any]) -> tuple[str, Tensor]:
        number, item = named
        return number, held.collate([held.encode(item, str(number))], Context(), [0])[0]

    for named in _in_order(ready, held.read(inputs), num_workers, ahead=2 * batch_size):
        queue.append(named)
        if len(queue) == batch_size:
            yield from flush()
    if queue:
        yield from flush()


class evaluating:  # noqa: N801 - reads as a function in its with statement
    """Evaluation mode without gradients for a block; the mode before is put back."""

    def __init__(self, task: ImageClassification) -> None:
        self.task, self.was_training = task, task.training
        self.inference = torch.inference_mode()

    def __enter__(self) -> None:
        self.task.eval()
        self.inference.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self.inference.__exit__(*raised)
        self.task.train(self.was_training)


def _in_order(function: Callable[[T], R], items: Iterable[T], num_workers: int, ahead: int) -> Iterator[R]:
    """What a function gives for each item, in their order, made by threads that are never far ahead."""
    if num_workers == 0:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
