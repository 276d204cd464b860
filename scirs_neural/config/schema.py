"""The types, ranges and meanings of every setting. YAML in ``configs/`` gives the values.

Each section is a pydantic model that refuses keys that it does not know. The sections of parts that are chosen by name
(`Named`) also take the options of the part named: those are listed by its registry entry and checked in
`scirs_neural.config.validate`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scirs_neural.config.quantities import (
    Devices,
    Fraction,
    Limit,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    SomeBatches,
    Steps,
    Threads,
    TimeSpan,
)


class Section(BaseModel):
    """A part of the configuration with a closed set of keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)  # RunConfig builds them all


class Named(Section):
    """A part chosen by registry name; keys beyond the declared ones are options of the part named."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    name: str

    def options(self) -> dict[str, Any]:
        """The options of the part named: every key that the section itself does not declare."""
        return dict(self.model_extra or {})


class ModelConfig(Named):
    """Which network, with which weights, adapted how. ``python -m scirs_neural.list models`` shows the names."""

    weights: str | None = Field(
        default=None, description="a torchvision weights name such as IMAGENET1K_V1, or a .pth/.safetensors file"
    )
    num_classes: PositiveInt | None = Field(default=None, description="null: as many as the data has")
    in_channels: PositiveInt | None = Field(default=None, description="null: as many as the data has")
    stem: Literal["auto", "standard", "small"] = Field(
        default="auto", description="small: no early down-sampling, for inputs of 64 px and less"
    )


class FoldConfig(Section):
    """One part of the training samples, held out as the test split."""

    index: NonNegativeInt = Field(description="which part, from 0")
    of: Annotated[int, Field(ge=2)] = Field(description="how many parts there are")
    repeat: NonNegativeInt = Field(default=0, description="which of several repeats, each with another seed")

    @model_validator(mode="after")
    def _is_a_part(self) -> FoldConfig:
        if self.index >= self.of:
            raise ValueError(f"part {self.index} of {self.of}: they are counted from 0")
        return self


class DataConfig(Named):
    """Which data, how it is split, augmented and fed."""

    batch_size: PositiveInt = Field(default=64, description="samples a step and process")
    image_size: PositiveInt | None = Field(
        default=None, description="side of the square input in px; null: what suits the data"
    )
    transforms: str | list[Any] = Field(
        default="auto",
        description="none, light, standard, strong, or a list of torchvision transforms; auto: what suits the data",
    )
    mixup: NonNegativeFloat = Field(default=0.0, description="alpha of MixUp; 0 is off")
    cutmix: NonNegativeFloat = Field(default=0.0, description="alpha of CutMix; 0 is off")
    val_fraction: Fraction = Field(
        default=0.1, description="fraction of the training samples held out, where the data has no split of its own"
    )
    test_fraction: Fraction = Field(
        default=0.2, description="fraction of all samples held out, where the data has no split of its own"
    )
    split_seed: NonNegativeInt = Field(
        default=0, description="seed of the split; apart from `seed`, so that runs share one test set"
    )
    stratify: bool = Field(
        default=True, description="every class gives its fraction to each split, to within one sample"
    )
    group_by: str | None = Field(
        default=None, description="a column of the data: samples with the same value stay in one split"
    )
    folds: list[FoldConfig] = Field(
        default_factory=list,
        description="one part of the training samples as the test split: [{index:0,of:5}]; cv=5 sets it for each fold",
    )
    num_workers: NonNegativeInt | None = Field(
        default=None, description="loader processes; null: what suits the data and machine"
    )
    prefetch_factor: PositiveInt = Field(default=2, description="batches that each worker keeps ready")
    pin_memory: bool | None = Field(default=None, description="null: when there is a GPU")
    persistent_workers: bool = Field(default=True, description="keep the workers between epochs")
    on_corrupt: Literal["raise", "skip"] = Field(
        default="raise", description="what to do with a sample that cannot be read; skipped ones are counted"
    )


class TaskConfig(Named):
    """What is learnt: the loss, the metrics, the way a batch is used."""

    name: str = Field(default="auto", description="auto: what the data's targets are for")
    loss: str | dict[str, Any] | list[Any] = Field(
        default="auto",
        description="a name, file.py:Class, or a list of weighted terms; auto: cross_entropy, or bce_with_logits "
        "for several labels a sample",
    )
    label_smoothing: Fraction = Field(default=0.0, description="fraction of the target spread over all classes")
    metrics: list[str] = Field(default_factory=list, description="by name, beside the task's own; or file.py:function")


class ParameterRule(Section):
    """How some parameters learn. Without ``match`` and ``type`` it is for all that no other rule is for."""

    name: str | None = Field(default=None, description="of the group; null: its match or type")
    match: str | None = Field(default=None, description="a regular expression, found in the parameter's name")
    type: str | None = Field(default=None, description="class of the module that holds the parameter: LayerNorm")
    lr: Annotated[float, Field(gt=0.0)] | None = Field(default=None, description="in place of its stage's rate")
    lr_ratio: Annotated[float, Field(gt=0.0)] = Field(default=1.0, description="factor on the learning rate")
    weight_decay: NonNegativeFloat | None = Field(default=None, description="of those parameters that decay")
    frozen: bool = Field(default=False, description="they do not learn")

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"be a regular expression ({error})") from error
        return pattern


class OptimizerConfig(Named):
    """Which optimizer. Norms, biases and other one-dimensional parameters get no weight decay unless asked for."""

    lr: Annotated[float, Field(gt=0.0)] = Field(default=1e-3, description="peak learning rate")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="of matrices and kernels")
    decay_norm_and_bias: bool = Field(default=False, description="weight decay for one-dimensional parameters too")
    groups: list[ParameterRule] = Field(
        default_factory=list, description="rules for parameters; with any, each parameter falls under exactly one"
    )


class SchedulerConfig(Named):
    """How the learning rate moves. Stepped every optimizer step."""

    warmup: NonNegativeFloat | None = Field(
        default=None,
        description="linear warm-up: a fraction of all steps if below 1, else steps; null: 0.3 for one_cycle, else 0",
    )


class CheckpointConfig(Section):
    """Which weights are kept."""

    monitor: str = Field(
        default="auto", description="metric that ranks checkpoints; auto: the task's main one on the validation set"
    )
    mode: Literal["auto", "min", "max"] = "auto"
    save_top_k: NonNegativeInt = Field(
        default=1, description="how many of the best to keep; 0: the last weights are used"
    )
    save_last: bool = Field(
        default=True, description="keep the newest state too, to go on from; false: only where no best is kept"
    )
    every_n_steps: PositiveInt | None = Field(default=None, description="also save `last` every so many steps")
    async_save: bool = Field(
        default=False, description="write checkpoints while training goes on: a step waits for a copy, not for the disk"
    )
    format: Literal["auto", "torch", "plain"] = Field(
        default="auto",
        description="torch: of torch.save; plain: without a pickle, which torch 2.9 reads too; auto: torch, below 2.10 "
        "plain",
    )
    sharded: bool = Field(
        default=False,
        description="with fsdp2 or tensor_parallel: each rank writes what it holds, beside one index file",
    )


class TrainerConfig(Section):
    """How training is driven. The names are Lightning's."""

    max_epochs: PositiveInt = 10
    min_epochs: PositiveInt | None = Field(default=None, description="no callback stops training before")
    max_steps: Steps = Field(default=-1, description="-1: no limit")
    min_steps: PositiveInt | None = Field(default=None, description="no callback stops training before")
    max_time: TimeSpan | None = Field(
        default=None, description="stop after DD:HH:MM:SS, or {hours:1,minutes:30}; validation and test still run"
    )
    fast_dev_run: bool | PositiveInt = Field(
        default=False,
        description="one batch (or so many) of training, validation and test, to find faults; no run is kept",
    )
    overfit_batches: Limit = Field(
        default=0, description="train and validate on the same first batches, in order: the loss must go to 0; 0: off"
    )
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu", "xla_cpu"] = Field(
        default="auto", description="xla_cpu runs what a TPU would, on the CPU"
    )
    devices: Devices = "auto"
    num_nodes: PositiveInt = 1
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "fsdp2", "spmd", "spmd_sharded"] = Field(
        default="auto", description="over several devices; spmd and spmd_sharded are those of TPUs"
    )
    tensor_parallel: PositiveInt = Field(
        default=1, description="spread linear layers over so many devices, which then share their batches"
    )
    tensor_parallel_colwise: list[str] = Field(
        default_factory=list,
        description="linear layers to split by columns, as patterns of dotted names; nothing: those of known blocks",
    )
    tensor_parallel_rowwise: list[str] = Field(default_factory=list, description="linear layers to split by rows")
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "64-true"] = "32-true"
    fp32_modules: list[str] = Field(
        default_factory=list,
        description="modules that stay in float32 under mixed precision: class names, or patterns of dotted names",
    )
    accumulate_grad_batches: PositiveInt = 1
    gradient_clip_val: NonNegativeFloat | None = None
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    tf32: bool | None = Field(
        default=None,
        description="TF32 for float32 products and convolutions on GPUs: faster, 10 bits; null: torch's own choice",
    )
    activation_checkpointing: list[str] = Field(
        default_factory=list,
        description="modules whose inner values are computed again in backward, not kept: class names or patterns",
    )
    compile: bool | Literal["whole", "regional", "reduce-overhead"] = Field(
        default=False,
        description="torch.compile: the whole network (true, whole), its repeated blocks (regional), or the whole with "
        "CUDA graphs (reduce-overhead); what cannot be compiled runs as it is, and the reason is said",
    )
    find_lr: bool = Field(default=False, description="set optimizer.lr by a range test before training")
    find_memory_format: bool = Field(
        default=False, description="set trainer.channels_last to what is faster here, by timing a few steps of each"
    )
    find_batch_size: bool = Field(
        default=False, description="set data.batch_size to the largest power of two that fits into memory"
    )
    channels_last: bool = Field(
        default=True,
        description="keep images as NHWC in memory; faster for convolutions on most hardware; L-BFGS goes without",
    )
    limit_train_batches: SomeBatches | None = None
    limit_val_batches: Limit | None = None
    limit_test_batches: Limit | None = None
    limit_predict_batches: Limit | None = Field(default=None, description="of the predictions that a run keeps")
    val_check_interval: SomeBatches | None = Field(
        default=None, description="validate within epochs: every so many batches, or a fraction of an epoch below 1"
    )
    check_val_every_n_epoch: PositiveInt = 1
    log_every_n_steps: PositiveInt = 50
    deterministic: bool = False
    detect_anomaly: bool = Field(
        default=False, description="autograd names the operation whose gradient is NaN; slow, for finding faults"
    )
    profiler: Literal["simple", "advanced", "pytorch"] | None = Field(
        default=None, description="where time goes: by hook, by Python function, or by torch operation; in RUN/profile"
    )
    num_sanity_val_steps: Annotated[int, Field(ge=-1)] = Field(
        default=0, description="batches of validation before training, to find faults early; -1: all"
    )
    on_out_of_memory: Literal["split", "raise"] = Field(
        default="split", description="split: compute batches that do not fit in parts, with the same gradient, and warn"
    )
    num_threads: Threads | None = Field(default=None, description="CPU threads of torch; null: torch's own choice")
    num_interop_threads: Threads | None = Field(
        default=None, description="CPU threads for operations beside each other; null: torch's own choice"
    )
    stop_on_nonfinite: bool = Field(
        default=True, description="stop when the loss is NaN or infinite, at a logging step or epoch end"
    )
    progress_bar: bool | None = Field(default=None, description="null: on a terminal only")
    resume: str | None = Field(
        default=None,
        description="a run folder or .ckpt to go on from; auto: the newest unfinished run of this configuration",
    )
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="before")
    @classmethod
    def _as_limits(cls, given: Any) -> Any:
        """``fast_dev_run`` in terms of the other settings, as Lightning has it: they are overruled."""
        batches = given.get("fast_dev_run") if isinstance(given, dict) else None
        if not isinstance(batches, int) or not batches:
            return given
        limits = {f"limit_{stage}_batches": int(batches) for stage in ("train", "val", "test", "predict")}
        once = {"max_epochs": 1, "max_steps": -1, "check_val_every_n_epoch": 1, "num_sanity_val_steps": 0}
        return {**given, **limits, **once, "val_check_interval": None, "overfit_batches": 0, "log_every_n_steps": 1}

    @model_validator(mode="after")
    def _acts(self) -> TrainerConfig:
        every = self.val_check_interval
        if isinstance(every, int) and every % self.accumulate_grad_batches:
            raise ValueError("val_check_interval must be a multiple of accumulate_grad_batches: between two steps")
        if self.min_epochs and self.min_epochs > self.max_epochs:
            raise ValueError("min_epochs is larger than max_epochs")
        if self.min_steps and -1 < self.max_steps < self.min_steps:
            raise ValueError("min_steps is larger than max_steps")
        return self


class FinetuneConfig(Section):
    """How pretrained weights are adapted. Used when ``enabled``."""

    enabled: bool = False
    head_epochs: NonNegativeInt = Field(default=1, description="epochs in which only the new head learns")
    unfreeze: Literal["all", "gradual", "never"] = Field(
        default="all", description="after head_epochs: everything, one stage an epoch from the top, or nothing"
    )
    backbone_lr_ratio: Annotated[float, Field(gt=0.0)] = Field(
        default=0.1, description="learning rate of the body over the head's"
    )
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0, description="learning-rate factor from each stage to the one below"
    )
    freeze_batchnorm: bool = Field(default=False, description="keep BatchNorm's statistics and parameters as they came")


class PathsConfig(Section):
    """Where things are kept."""

    runs: str = "runs"


class CrossValidationConfig(Section):
    """Cross-validation. Each part of the training samples is tested by a network that learnt from the others."""

    folds: NonNegativeInt = Field(default=0, description="parts, each tested once; cv=5 is short for it; 0: off")
    repeats: PositiveInt = Field(
        default=1, description="how often the samples are divided into parts, each time with another seed"
    )
    grid: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="nested: settings with the values to choose among within each fold: {optimizer.lr:[0.01,0.001]}",
    )
    inner: Annotated[int, Field(ge=2)] = Field(default=3, description="parts within a fold that choose among the grid")

    @model_validator(mode="before")
    @classmethod
    def _as_one_word(cls, given: Any) -> Any:
        return {"folds": given} if isinstance(given, int) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _acts(self) -> CrossValidationConfig:
        if self.folds == 1:
            raise ValueError("one part leaves none to learn from: 2 or more")
        if not self.folds and (self.repeats > 1 or self.grid or self.inner != 3):
            raise ValueError("repeats, grid and inner act with folds only: cv.folds=5")
        return self


class TuneConfig(Section):
    """How ``python -m scirs_neural.tune`` searches."""

    trials: PositiveInt | None = Field(
        default=None, description="runs in all, with those that a resumed study has; null: 30, or the whole grid"
    )
    sampler: Literal["tpe", "random", "grid"] = Field(default="tpe", description="who chooses the next settings")
    pruner: Literal["auto", "none", "median", "hyperband"] = Field(
        default="auto", description="who stops bad runs early; auto: median, or none with several objectives"
    )
    startup: NonNegativeInt = Field(
        default=10, description="runs at random before tpe chooses; the first five of them are not pruned"
    )
    warmup_epochs: NonNegativeInt = Field(default=1, description="epochs that the median pruner leaves every run")
    objectives: list[str] = Field(
        default_factory=list,
        description="[val/accuracy, num_params:min]: columns of metrics.csv, num_params, macs, train_sec; empty: the "
        "task's main metric",
    )
    workers: PositiveInt = Field(default=1, description="processes that share the study")
    seed: NonNegativeInt = Field(default=0, description="of the sampler")


class TuneSettings(Section):
    """The settings of a search, under the name that they are typed with."""

    tune: TuneConfig


class RunConfig(Section):
    """Everything that decides a run."""

    seed: NonNegativeInt = 0
    model: ModelConfig
    data: DataConfig
    task: TaskConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig = TrainerConfig()
    callbacks: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by registry name, each with its options"
    )
    plugins: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="what is done to the network in training: by registry name, with options"
    )
    answer: dict[str, Any] = Field(
        default_factory=dict, description="how answers are made; the task says what it takes: {threshold:0.5}"
    )
    logger: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="beside metrics.csv, which always is: by registry name, with options"
    )
    finetune: FinetuneConfig = FinetuneConfig()
    cv: CrossValidationConfig = CrossValidationConfig()
    paths: PathsConfig = PathsConfig()
    plugins_modules: list[str] = Field(default_factory=list, description="modules or files that register more parts")


def section_of_part(name: str) -> type[Named]:
    """The section of a part that is chosen by name."""
    section = RunConfig.model_fields[name].annotation
    assert isinstance(section, type)
    assert issubclass(section, Named)
    return section
