"""scirs_neural: name a model, a dataset and the end product; get a trained, checked, deployable PyTorch model.

The public names, subpackages too, are imported when they are first used, so that this import, help and error messages
stay fast.

Example:
    >>> import scirs_neural as sn
    >>> sn.create_model("resnet18", num_classes=10).fc.out_features
    10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

__version__ = "0.1.0"

if TYPE_CHECKING:
    from scirs_neural import builder as builder
    from scirs_neural import data as data
    from scirs_neural import evaluation as evaluation
    from scirs_neural import layers as layers
    from scirs_neural import losses as losses
    from scirs_neural import metrics as metrics
    from scirs_neural import models as models
    from scirs_neural import optim as optim
    from scirs_neural import plots as plots
    from scirs_neural import plugins as plugins
    from scirs_neural import serialization as serialization
    from scirs_neural import tasks as tasks
    from scirs_neural import training as training
    from scirs_neural import tuning as tuning
    from scirs_neural.api import Run as Run
    from scirs_neural.api import fit as fit
    from scirs_neural.api import load_predictor as load_predictor
    from scirs_neural.api import load_run as load_run
    from scirs_neural.core.errors import ScirsError as ScirsError
    from scirs_neural.data import create_data as create_data
    from scirs_neural.estimators import NeuralClassifier as NeuralClassifier
    from scirs_neural.estimators import NeuralRegressor as NeuralRegressor
    from scirs_neural.losses import create_loss as create_loss
    from scirs_neural.models import create_model as create_model
    from scirs_neural.models import list_models as list_models
    from scirs_neural.serialization import Package as Package
    from scirs_neural.serialization import inspect_package as inspect_package
    from scirs_neural.serialization import load_package as load_package
    from scirs_neural.serialization import migrate_package as migrate_package
    from scirs_neural.serialization import save_package as save_package
    from scirs_neural.serialization import verify_package as verify_package
    from scirs_neural.tasks import create_task as create_task
    from scirs_neural.training import Module as Module
    from scirs_neural.training import Trainer as Trainer

lazy(globals())
