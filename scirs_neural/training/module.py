"""The LightningModule of every task: a network, a task, an optimizer, a schedule, and plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils._pytree import tree_leaves

from scirs_neural.config.schema import FinetuneConfig, OptimizerConfig, SchedulerConfig
from scirs_neural.config.validate import check_section
from scirs_neural.core.errors import CheckpointError, expect
from scirs_neural.data.batching import rank_and_world_size
from scirs_neural.data.context import Batch, Context
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.registry import PIPELINES
from scirs_neural.layers.penalties import ActivityRegularization, collect_penalties
from scirs_neural.optim.build import build_optimizer, build_scheduler
from scirs_neural.optim.groups import ParameterGroup, freeze, parameter_groups
from scirs_neural.optim.schedules import DEFAULT_WARMUP, Span
from scirs_neural.plugins.order import overrides, prepare_all, rebuild_all, same_records
from scirs_neural.plugins.plugin import Plugin
from scirs_neural.tasks.task import ALL_OTHERS, Phase, Task, count_of
from scirs_neural.training.network_check import check_network
from scirs_neural.training.scoring import EpochScores, direction
from scirs_neural.training.taps import tapped

Counts = Mapping[str, float | None]
PENALTY = "penalty"


class Module(L.LightningModule):
    """Hosts a task: asks it for losses and answers, and logs them.

    The engine's loop (`scirs_neural.training.loops`) makes the steps: it cuts them into parts, and weighs these by the
    task's counts. What DDP wraps is `training_step`, whatever entry points of the network a task uses.

    Args:
        task: what is asked of the network.
        model: the network.
        optimizer: a name, or settings as in a config.
        scheduler: a name, or settings as in a config.
        finetune: how pretrained weights are adapted.
        plugins: what is done to the training, network included; they are put in the order of their stages.

    Attributes:
        seed: of the run; the Trainer sets it.
        pipeline: cuts batches into parts; the Trainer takes the data's own.
        is_final: training is over, and the network is the one that is kept: plugins show no other.

    Raises:
        ShapeError: the network does not give what the task needs.

    Example:
        >>> import scirs_neural as sn
        >>> data = sn.create_data("digits", batch_size=64)
        >>> task = sn.create_task(data.spec)
        >>> module = Module(task, sn.create_model("cnn", **task.model_arguments()), optimizer="sgd")
        >>> module.main_metric
        ('val/accuracy', 'max')
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        optimizer: OptimizerConfig | Mapping[str, Any] | str = "adamw",
        scheduler: SchedulerConfig | Mapping[str, Any] | str = "one_cycle",
        finetune: FinetuneConfig | Mapping[str, Any] | None = None,
        plugins: Sequence[Plugin] = (),
    ) -> None:
        super().__init__()
        usage = "sn.Module(task, network): a task of sn.create_task, then an nn.Module"
        expect(task, Task, "the task, which comes first,", usage)
        expect(model, nn.Module, "the network, which comes second,", usage)
        self.task, self.model, self.plugins = task, model, sorted(plugins, key=lambda plugin: plugin.stage)
        self.optimizer_settings = check_section(OptimizerConfig, _named(optimizer), "optimizer")
        self.scheduler_settings = check_section(SchedulerConfig, _named(scheduler), "scheduler")
        self.finetune = check_section(FinetuneConfig, finetune or {}, "finetune")
        self.phases = list(task.phases())
        self.automatic_optimization = len(self.phases) == 1  # several are the engine's, not Lightning's
        self.pipeline: Pipeline = PIPELINES.get(task.spec.pipeline)(task.spec)
        self.seed = 0
        self.now = StepState(self.phases[0].name)
        self.scores: EpochScores | None = None
        self.monitors: list[str | None] = []
        self.frozen_parameters: set[str] = set()
        self.has_rows: list[Plugin] = []
        self.has_penalties = self.is_prepared = self.is_final = False
        if not self.plugins:  # they wait for what a checkpoint has recorded of them
            self.prepare()

    def prepare(self, records: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Let the plugins put on what they do to the network; once, before the optimizer is made.

        Args:
            records: of the checkpoint that training goes on from: the network is built as they have it. None prepares a
                fresh one.

        Raises:
            CheckpointError: the records are of other plugins, or the network has been prepared otherwise.
            ShapeError: the network does not give what the task needs.
        """
        if self.is_prepared:
            if records is not None and not same_records(self.plugins, records):
                fix = "resume with a new Module and a new network"
                raise CheckpointError("the network was changed by its plugins after that checkpoint", fix=fix)
            return
        if records is not None:
            self.model = rebuild_all(self.plugins, self.model, records)
        elif self.plugins:
            self.model = prepare_all(self.plugins, self.model, self.task, self.pipeline.example(2), self.seed)
        self.has_rows = [plugin for plugin in self.plugins if overrides(plugin, "rows")]
        self.has_penalties = any(isinstance(part, ActivityRegularization) for part in self.model.modules())
        extra = {plugin.name: part for plugin in self.plugins if (part := plugin.modules()) is not None}
        if extra:
            self.plugin_modules = nn.ModuleDict(extra)
        check_network(self.task, self.model, self.pipeline)
        self.frozen_parameters = freeze(self.model, self.parameter_groups)
        self.is_prepared = True

    @property
    def spec(self) -> Any:
        """The description of the data."""
        return self.task.spec

    @property
    def main_metric(self) -> tuple[str, str]:
        """The metric that ranks epochs, and whether it is to be "max" or "min"."""
        name = f"val/{self.task.main_metric}"
        return name, direction(self.task, name)

    @property
    def parameter_groups(self) -> list[ParameterGroup]:
        """Which parameters of the network learn at which rate, and which decay."""
        tuning, chosen = self.finetune, self.optimizer_settings
        return parameter_groups(
            self.model,
            lr=chosen.lr,
            weight_decay=chosen.weight_decay,
            decay_norm_and_bias=chosen.decay_norm_and_bias,
            backbone_lr_ratio=tuning.backbone_lr_ratio if tuning.enabled else 1.0,
            layer_decay=tuning.layer_decay if tuning.enabled else 1.0,
            rules=chosen.groups,
        )

    def context(self, step: int) -> Context:
        """Where a training step stands."""
        now = self.now
        return Context("train", self.seed, now.epoch, step, now.rank, now.phase)

    def forward(self, batch: Batch) -> Any:
        """The network's outputs, as the task calls it outside of training."""
        return self.task.answer(self.model, batch, Context())

    def note_epoch(self) -> None:
        """Note where this epoch's steps stand; also of one that goes on in its middle."""
        self.now.epoch, self.now.rank = self.current_epoch, rank_and_world_size()[0]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Count what each term of the loss is a mean of, while the batch is on the CPU."""
        if self.has_rows and self.trainer.training:
            batch = self.with_rows(batch)
        self.now.group = batch if isinstance(batch, list) else [batch]
        self.now.counts = [self.count(part) for part in self.now.group]
        return batch

    def with_rows(self, batch: Any) -> Any:
        """A batch, or the batches of a step, with the further samples that plugins want, spread evenly."""
        group = batch if isinstance(batch, list) else [batch]
        ctx = self.context(self.trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        group = [dict(part) for part in group]
        for plugin in self.has_rows:
            if plugin.name in group[0]:
                continue  # a batch on its way to a device comes by twice
            rows = list(plugin.rows(ctx))
            size = -(-len(rows) // len(group))
            with_targets = any(name in row for row in rows for name in self.pipeline.targets)
            for place, part in enumerate(group):
                if mine := rows[place * size : (place + 1) * size]:
                    part[plugin.name] = self.pipeline.collate(mine, Context("val", self.seed), targets=with_targets)
        return group if isinstance(batch, list) else group[0]

    def count(self, batch: Batch) -> Counts:
        """Of how many items each term of a batch's loss is a mean."""
        counts = self.task.counts(batch)
        if ALL_OTHERS in counts and not self.plugins:
            return counts
        found = {ALL_OTHERS: len(batch["id"]), **counts}
        for plugin in self.plugins:
            found[f"{plugin.name}/{ALL_OTHERS}"] = len(batch["id"])
            found |= {f"{plugin.name}/{name}": count for name, count in plugin.counts(batch).items()}
        return found

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, or of a part of a step, each term times its weight in the step (`shares`)."""
        outputs, terms = self.outputs_and_terms(batch, self.context(batch_idx))
        self.now.terms = terms
        return weighted_sum(terms, self.now.shares, outputs)

    def outputs_and_terms(self, batch: Batch, ctx: Context) -> tuple[Any, dict[str, Tensor]]:
        """The network's outputs, and the terms of the loss: the task's, the plugins', the layers' penalties."""
        if not self.plugins and not self.has_penalties:
            network: Any = self._modules["model"]
            outputs = self.task.forward(network, batch, ctx)
            return outputs, self.task.losses(outputs, batch, ctx)
        with tapped(self.model, self.plugins) as taps:
            outputs = self.task.forward(self.model, batch, ctx)
            terms = dict(self.task.losses(outputs, batch, ctx))
            for plugin in self.plugins:
                found = plugin.losses(outputs, batch, taps, self.model, ctx)
                terms |= {f"{plugin.name}/{name}": value for name, value in found.items()}
        if self.has_penalties:
            terms[PENALTY] = collect_penalties(self.model)
        return outputs, terms

    def log_step(self, loss: Tensor, terms: Mapping[str, Tensor], counts: Counts) -> None:
        """Log the loss of a step, and its terms if there are several."""
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=_size(counts[ALL_OTHERS]))
        if len(terms) > 1:
            for name, value in terms.items():
                size = _size(count_of(counts, name))
                self.log(f"train/loss_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)

    def on_validation_epoch_start(self) -> None:
        """Begin a pass."""
        self.scores = EpochScores(self.task)
        if (shown := self.shown) is not self.model:
            shown.eval()  # it is no part of this module, whose mode Lightning sets

    on_test_epoch_start = on_validation_epoch_start

    @property
    def shown(self) -> nn.Module:
        """The network that is validated, ranked and kept: what the plugins show of it."""
        model = self.model
        for plugin in () if self.is_final else self.plugins:
            model = plugin.shown(model)
        return model

    @property
    def may_rank(self) -> bool:
        """Whether all plugins let the present epoch be the best one."""
        return all(plugin.may_rank(self.context(0)) for plugin in self.plugins)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the answers of a batch, and its loss."""
        ctx = Context(self._stage, self.seed, settings=self.task.settings)
        task, model = self.task, self.shown
        outputs = task.answer(model, batch, ctx)
        assert self.scores is not None
        self.scores.add_columns(batch, outputs)
        if task.has_eval_loss:
            if type(task).answer is not Task.answer:
                outputs = task.forward(model, batch, ctx)
            self.scores.add_losses(task.losses(outputs, batch, ctx), self.now.counts[0])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the pass."""
        scores, self.scores = self.scores, None
        assert scores is not None
        world_size = self.trainer.world_size
        found = scores.scores(world_size, world_size // rank_and_world_size()[1])
        for name, value in found.items():
            self.log(f"{self._stage}/{name}", torch.tensor(value, dtype=torch.float32))

    test_step, on_test_epoch_end = validation_step, on_validation_epoch_end

    @property
    def _stage(self) -> str:
        return "test" if self.trainer.testing else "val"

    def configure_optimizers(self) -> Any:
        """An optimizer and a schedule for each phase."""
        total, per_epoch = num_steps(self.trainer)
        made: list[tuple[Any, Any, str | None]] = []
        chosen = self.optimizer_settings
        for phase in self.phases:
            groups = [part for group in self.parameter_groups if (part := _part(group, phase.parameters)) is not None]
            optimizer = build_optimizer(chosen.name, self.model, groups, **chosen.options())
            if not made and hasattr(self, "plugin_modules"):
                extra = [p for p in self.plugin_modules.parameters() if p.requires_grad]
                optimizer.add_param_group({"params": extra, "lr": chosen.lr, "name": "plugins"})
            made.append((optimizer, *self._schedule(optimizer, phase, total, per_epoch)))
        self.monitors = [monitor for _, _, monitor in made]
        if len(made) > 1:
            return [optimizer for optimizer, _, _ in made], [schedule for _, schedule, _ in made]
        optimizer, schedule, monitor = made[0]
        held: dict[str, Any] = {"scheduler": schedule, "interval": "step"} if monitor is None else {
            "scheduler": schedule, "monitor": monitor,
        }  # fmt: skip
        return {"optimizer": optimizer, "lr_scheduler": held}

    def _schedule(self, optimizer: Any, phase: Phase, total: int, per_epoch: int) -> tuple[Any, str | None]:
        moving, options = self.scheduler_settings, self.scheduler_settings.options()
        warmup = DEFAULT_WARMUP.get(moving.name, 0.0) if moving.warmup is None else moving.warmup
        span = Span(-(-total // phase.every), max(1, per_epoch // phase.every), warmup)
        monitor = None
        if moving.name == "plateau":
            monitor = options.setdefault("monitor", "val/loss")
            mode = direction(self.task, monitor, "scheduler.monitor")
            if options.get("mode", "auto") == "auto":
                options["mode"] = mode
        schedule = build_scheduler(moving.name, optimizer, span, **options)
        return schedule, monitor if isinstance(schedule, ReduceLROnPlateau) else None


class StepState:
    """What is known of the step that is being made; the loop and the module hand it to each other.

    Attributes:
        phase: whose turn it is.
        epoch: counted from 0.
        rank: of this process among those that see different batches.
        group: the step's batches as they were on the CPU.
        counts: of each of them, what its terms are means of.
        shares: the factor of each term in the part that comes next; None: all are 1.
        terms: of the part that was computed last.
    """

    def __init__(self, phase: str) -> None:
        self.phase, self.epoch, self.rank = phase, 0, 0
        self.group: list[Batch] = []
        self.counts: list[Counts] = []
        self.shares: Mapping[str, Any] | None = None
        self.terms: dict[str, Tensor] = {}


def weighted_sum(terms: Mapping[str, Tensor], shares: Mapping[str, Any] | None, outputs: Any) -> Tensor:
    """The terms times their shares, added up in order; one of share 0 is not used, whatever it is.

    Args:
        terms: of the loss.
        shares: factors, as numbers or tensors; None: all are 1.
        outputs: of the network, so that all its parameters have a gradient even where no term is left.

    Example:
        >>> weighted_sum({"a": torch.tensor(2.0), "b": torch.tensor(1.0)}, {"a": 0.5, "b": 0.25}, None)
        tensor(1.2500)
    """
    if shares is None and len(terms) == 1:
        (only,) = terms.values()
        return only if only.dtype.itemsize >= 4 else only.float()
    total: Tensor | None = None
    is_whole = True
    for name, value in terms.items():
        if value.dtype.itemsize < 4:
            value = value.float()
        if shares is not None and (share := count_of(shares, name)) is not None:
            if isinstance(share, float) and share == 0.0:
                is_whole = False
                continue
            if not (isinstance(share, float) and share == 1.0):
                value = value * share
        total = value if total is None else total + value
    if is_whole and total is not None:
        return total
    return no_loss(outputs) if total is None else total + no_loss(outputs)


def no_loss(outputs: Any) -> Tensor:
    """0, as a function of a network's outputs."""
    total = torch.zeros((), requires_grad=True)
    for leaf in tree_leaves(outputs):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            total = total.to(leaf.device) + leaf.float().sum() * 0.0
    return total


def num_steps(trainer: Any) -> tuple[int, int]:
    """Optimizer steps of a whole fit, and of one epoch.

    Lightning's own `estimated_stepping_batches` sets the loader up, and a loader that is set up before a checkpoint is
    read never hears of its place in it; so the data module is asked instead, where there is one.
    """
    module = trainer.datamodule
    if module is None:
        total = int(trainer.estimated_stepping_batches)
        return total, max(1, round(total / max(1, trainer.max_epochs or 1)))
    batches, limit = len(module.train_dataloader()), trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
    per_epoch = max(1, -(-batches // trainer.accumulate_grad_batches))  # the last, short group steps too
    total = per_epoch * max(1, trainer.max_epochs or 1)
    return (min(total, trainer.max_steps) if trainer.max_steps > 0 else total), per_epoch


def _part(group: ParameterGroup, prefix: str) -> ParameterGroup | None:
    """What of a group's parameters begins with a prefix."""
    names = tuple(name for name in group.parameters if name.startswith(prefix))
    made = ParameterGroup(group.name, names, group.lr, group.weight_decay, group.frozen)
    return made if names else None


def _size(count: float | None) -> Any:
    return 1 if count is None else count


def _named(settings: Any) -> Any:
    return {"name": settings} if isinstance(settings, str) else settings
