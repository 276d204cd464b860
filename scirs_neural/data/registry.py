"""Kinds of fields and pipelines by name. No torch here."""

from __future__ import annotations

from scirs_neural.core.registry import Registry

FIELDS = Registry("field")
FIELDS.add("image", "scirs_neural.data.image.field:ImageField", summary="a picture, as (channels, height, width)")
FIELDS.add("table", "scirs_neural.data.table.field:TableField", summary="a row of named columns, as numbers")
FIELDS.add("class", "scirs_neural.data.targets:ClassField", summary="one of several classes")
FIELDS.add("labels", "scirs_neural.data.targets:LabelsField", summary="any number of several classes")
FIELDS.add("numbers", "scirs_neural.data.targets:NumbersField", summary="one or several numbers, in the data's units")

PIPELINES = Registry("pipeline")
PIPELINES.add("fields", "scirs_neural.data.pipeline:Pipeline", summary="each field for itself")
