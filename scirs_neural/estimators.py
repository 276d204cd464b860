"""scikit-learn's way: `NeuralClassifier` and `NeuralRegressor` on arrays, in pipelines, searches and cross-validation.

They build the data, the network and the task as every run does, and fit with the same `Trainer`; nothing is written to
the disk.

Example:
    >>> import scirs_neural as sn
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits(return_X_y=True)
    >>> net = sn.NeuralClassifier(max_epochs=5).fit(x[:1400], y[:1400])
    >>> net.score(x[1400:], y[1400:]) > 0.85
    True
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data
from torch import nn

from scirs_neural.core.errors import ConfigError
from scirs_neural.data import from_arrays, from_table
from scirs_neural.data.context import Context
from scirs_neural.data.module import DataModule
from scirs_neural.models import create_model
from scirs_neural.tasks.collect import evaluating
from scirs_neural.tasks.create import create_task
from scirs_neural.training import Trainer
from scirs_neural.training.module import Module

Network = str | type[nn.Module] | nn.Module | Callable[..., nn.Module]


class _NeuralEstimator(BaseEstimator):
    """What the classifier and the regressor share: parameters, fitting, and the network's answers."""

    def __init__(
        self,
        model: Network = "mlp",
        *,
        model_options: Mapping[str, Any] | None = None,
        optimizer: str | Mapping[str, Any] = "adamw",
        lr: float = 5e-3,
        weight_decay: float = 0.0,
        scheduler: str | Mapping[str, Any] = "one_cycle",
        loss: Any = "auto",
        max_epochs: int = 20,
        batch_size: int = 64,
        scale: bool = True,
        val_fraction: float = 0.0,
        callbacks: Sequence[Any] = (),
        trainer: Mapping[str, Any] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.scheduler = scheduler
        self.loss = loss
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.scale = scale
        self.val_fraction = val_fraction
        self.callbacks = callbacks
        self.trainer = trainer
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, x: np.ndarray, y: np.ndarray, kind: str, classes: Sequence[str] | None) -> None:
        seed = self._seed()
        data = self._data(x, y, kind, classes, seed)
        spec = data.spec
        named = {"optimizer": self.optimizer, "scheduler": self.scheduler}
        sections: dict[str, Any] = {
            key: {"name": value} if isinstance(value, str) else dict(value) for key, value in named.items()
        }
        sections["optimizer"] = {"lr": self.lr, "weight_decay": self.weight_decay, **sections["optimizer"]}
        console = None if self.verbose else Console(quiet=True)
        settings = {"accelerator": "auto", "devices": 1, "max_epochs": self.max_epochs, **(self.trainer or {})}
        trainer = Trainer(seed=seed, console=console, callbacks=self.callbacks, **settings)
        with torch.random.fork_rng():  # the caller's stream of random numbers goes on as if nothing had been drawn
            torch.manual_seed(seed)
            task_ = create_task(spec, loss=self.loss)
            self.module_ = Module(task_, self._network(task_.model_arguments()), **sections)
            self.history_ = trainer.fit(self.module_, data)
        self.n_iter_ = len(self.history_)
        for text, count in trainer.warned.items():
            warnings.warn(f"{text} ({count} times)" if count > 1 else text, stacklevel=3)
        self.module_.eval()
        self.module_.trainer = None  # so that what is pickled is the network, not the machinery
        self.module_.now.group = []
        self.module_.to("cpu")

    def _data(self, x: np.ndarray, y: np.ndarray, kind: str, classes: Sequence[str] | None, seed: int) -> DataModule:
        options: dict[str, Any] = {
            "seed": seed, "batch_size": self.batch_size, "val_fraction": self.val_fraction, "test_fraction": 0.0,
            "split_seed": seed,
        }  # fmt: skip
        if x.ndim == 2:
            return from_table(
                x, y, target_kind=kind, classes=classes, scale=self.scale, scale_targets=self.scale, **options
            )
        if kind == "numbers":
            raise ConfigError("NeuralRegressor takes rows of numbers (N, F)", fix="x.reshape(len(x), -1)")
        return from_arrays(x, y, classes=classes, transforms="none", **options)

    def _network(self, arguments: Mapping[str, Any]) -> nn.Module:
        options = dict(self.model_options or {})
        if isinstance(self.model, str):
            return create_model(self.model, **arguments, **options)
        if isinstance(self.model, nn.Module):
            from copy import deepcopy

            return deepcopy(self.model)  # a fit must not change what it was given
        return self.model(**options)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _checked(self, x: Any, y: Any = "no_validation", **options: Any) -> Any:
        """Arrays as scikit-learn checks them; rows of numbers, or images (N, H, W), (N, C, H, W), (N, H, W, C)."""
        return validate_data(self, x, y, dtype=np.float32, allow_nd=True, **options)

    def _answers(self, x: Any) -> np.ndarray:
        """Probabilities (N, K), or numbers (N, outputs)."""
        check_is_fitted(self, "module_")
        rows = self._checked(x, reset=False)
        return np.concatenate(list(self._batches(rows)))

    def _batches(self, x: np.ndarray) -> Iterator[np.ndarray]:
        task, model = self.module_.task, self.module_.model
        pipeline = self.module_.pipeline
        (name,) = pipeline.inputs
        with evaluating(model):
            for start in range(0, len(x), self.batch_size):
                part = x[start : start + self.batch_size]
                raws = [{"id": str(start + i), name: row} for i, row in enumerate(part)]
                batch = pipeline.collate(raws)
                (column,) = task.to_arrays(task.answer(model, batch, Context()), batch).values()
                yield column


class NeuralClassifier(ClassifierMixin, _NeuralEstimator):
    """A network that tells classes apart, as a scikit-learn classifier.

    Args:
        model: a registry name such as "mlp" or, for images, "resnet18"; a class or function that gives a network when
            called with ``model_options``; or a network, of which each fit trains a copy.
        model_options: for the network.
        optimizer: a name, or settings as in a config.
        lr: peak learning rate.
        weight_decay: of matrices and kernels.
        scheduler: a name, or settings as in a config.
        loss: as ``task.loss`` in a config.
        max_epochs: passes over the data.
        batch_size: samples a step.
        scale: whether each column is scaled to mean 0 and deviation 1; images always are.
        val_fraction: fraction of the samples held out for validation metrics (in ``history_``) and callbacks.
        callbacks: Lightning callbacks.
        trainer: more settings of `Trainer`, such as ``{"precision": "bf16-mixed"}``.
        random_state: a number, a RandomState, or None for another start each time.
        verbose: whether epochs are reported.

    Attributes:
        classes_: the labels, of any type, in order.
        module_: the trained LightningModule; ``module_.model`` is the network.
        history_: one row an epoch.

    Shape: x (N, F), or images (N, H, W), (N, C, H, W) or (N, H, W, C); y (N,).
    """

    def fit(self, X: Any, y: Any) -> NeuralClassifier:  # noqa: N803 - scikit-learn's name
        """Train a new network.

        Raises:
            ValueError: the arrays cannot be used, or y has one class.
            ConfigError: a parameter is wrong.
        """
        x, y = self._checked(X, y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs samples of at least 2 classes, and there is 1 class")
        names = [str(label) for label in self.classes_.tolist()]
        self._fit(x, numbers, "class", names)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities (N, K), in the order of ``classes_``."""
        return self._answers(X)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The likeliest label of each sample."""
        likeliest = self._answers(X).argmax(axis=1)
        return self.classes_[likeliest]


class NeuralRegressor(RegressorMixin, _NeuralEstimator):
    """A network that predicts numbers, as a scikit-learn regressor. Its parameters are those of `NeuralClassifier`.

    With ``scale``, the network learns targets of mean 0 and deviation 1; what it predicts is in the units of ``y``.

    Shape: x (N, F); y (N,) or (N, outputs).

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> NeuralRegressor(max_epochs=10).fit(x[:350], y[:350]).score(x[350:], y[350:]) > 0.3
        True
    """

    def fit(self, X: Any, y: Any) -> NeuralRegressor:  # noqa: N803
        """Train a new network.

        Raises:
            ValueError: the arrays cannot be used.
            ConfigError: a parameter is wrong.
        """
        x, y = self._checked(X, y, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._is_flat = y.ndim == 1
        self._fit(x, check_array(y, ensure_2d=False, dtype=np.float32), "numbers", None)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The predicted numbers, (N,) or (N, outputs) as ``y`` was."""
        found = self._answers(X)
        return found.ravel() if self._is_flat else found
