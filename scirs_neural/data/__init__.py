"""Data: named data sets, their splits, fields, pipelines and loaders. Importing this package does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.data.create import create_data as create_data
    from scirs_neural.data.field import Field as Field
    from scirs_neural.data.image.augment import build_augment as build_augment
    from scirs_neural.data.image.image_file import load_image as load_image
    from scirs_neural.data.image.preprocess import build_preprocess as build_preprocess
    from scirs_neural.data.image.spec import Preprocess as Preprocess
    from scirs_neural.data.in_memory import from_arrays as from_arrays
    from scirs_neural.data.in_memory import from_datasets as from_datasets
    from scirs_neural.data.module import DataModule as DataModule
    from scirs_neural.data.pipeline import Pipeline as Pipeline
    from scirs_neural.data.registry import DATA as DATA
    from scirs_neural.data.registry import FIELDS as FIELDS
    from scirs_neural.data.source import DataSource as DataSource
    from scirs_neural.data.spec import DataSpec as DataSpec
    from scirs_neural.data.table.table import from_table as from_table
    from scirs_neural.data.text.source import from_texts as from_texts

lazy(globals())
