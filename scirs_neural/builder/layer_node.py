"""One layer in a network under construction: from a registry name, a class or a module; built at its first call.

What a layer must know of its input (``in_features``, ``num_features``, …) is read off the symbolic tensor where it is
not given. Shapes are found by running a copy of the layer without memory, on the meta device.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from scirs_neural.builder.initial import apply_init, check_init
from scirs_neural.builder.symbol import Auto, Node, Path, Symbol, dotted, first_sentence, show_shape
from scirs_neural.core.errors import ConfigError, ScirsError, ShapeError
from scirs_neural.core.importing import resolve
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.signatures import signature_options
from scirs_neural.layers.registry import LAYERS
from scirs_neural.layers.spec import create_layer

M = TypeVar("M", bound=nn.Module)

# option of a layer -> (which input, which of its dimensions) it is read from
INFERRED: dict[str, tuple[int, int]] = {
    "in_features": (0, -1),
    "in_channels": (0, 1),
    "num_features": (0, 1),
    "num_channels": (0, 1),
    "input_channels": (0, 1),
    "channels": (0, 1),
    "normalized_shape": (0, -1),
    "input_size": (0, -1),
    "embed_dim": (0, -1),
    "d_model": (0, -1),
    "in1_features": (0, -1),
    "in2_features": (1, -1),
}
INFERRED_OTHERWISE = {("mlp", "in_channels"): (0, -1), ("layer_norm2d", "normalized_shape"): (0, 1)}


def layer(
    spec: Any, *args: Any, name: str | None = None, init: Any = None, freeze: bool = False, **options: Any
) -> LayerNode:
    """A layer to be called on symbolic tensors; called twice, it is shared.

    Args:
        spec: a name of `LAYERS`, a module, or a module class.
        *args: options by position, those that are inferred left out: ``layer("conv2d", 16, 3)``.
        name: in the model; None: its registry name, numbered where needed.
        init: how to initialise: a function name of `torch.nn.init` for matrices and kernels ("kaiming_normal"), or a
            mapping from parameter names to such names or numbers.
        freeze: whether its parameters keep their values.
        **options: options by name.

    Raises:
        ConfigError: what cannot be a layer.

    Example:
        >>> from scirs_neural.builder import Input
        >>> layer("conv2d", 16, kernel_size=3, padding="same")(Input((3, 32, 32))).shape
        (None, 16, 32, 32)
    """
    return LayerNode(spec, args, options, name=name, init=init, freeze=freeze)


class LayerNode:
    """What `layer` gives: a layer that is built when it first meets an input."""

    def __init__(
        self,
        spec: Any,
        args: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        init: Any = None,
        freeze: bool = False,
        where: str | None = None,
    ) -> None:
        self.spec, self.args, self.options = spec, args, dict(options or {})
        self.name, self.init, self.freeze, self.where = name, check_init(init, where), freeze, where
        self.module: nn.Module | None = None
        self.path: Path | None = None
        is_class = isinstance(spec, type) and issubclass(spec, nn.Module)
        if not isinstance(spec, (str, nn.Module)) and not is_class:
            raise ConfigError(
                f"{spec!r} is not a layer", where=where, fix="give a registry name, a module or a module class"
            )
        if isinstance(spec, nn.Module) and (args or options):
            raise ConfigError(f"options for {type(spec).__name__}, which is built already", where=where)
        self._from_file = isinstance(spec, str) and ":" in spec and spec not in LAYERS
        if isinstance(spec, str) and not self._from_file:
            LAYERS.entry(spec, where=where)  # an unknown name is said at once

    @property
    def label(self) -> str:
        """What it is, as users read it."""
        if isinstance(self.spec, str):
            return self.spec
        return (self.spec if isinstance(self.spec, type) else type(self.spec)).__name__

    def registered_name(self) -> str | None:
        """The name under which `LAYERS` holds it, or a file's class as the user wrote it; None if there is none."""
        if isinstance(self.spec, str):
            return self.spec
        own = f"{self.spec.__module__}:{self.spec.__qualname__}"
        for name in LAYERS:
            target = LAYERS.entry(name).target
            public = target == f"torch.nn:{self.label}" and getattr(nn, self.label) is self.spec
            if target is self.spec or target == own or public:
                return name
        return None

    def __call__(self, *inputs: Any) -> Symbol:
        """Apply to symbolic tensors."""
        stem = self.label.rpartition(":")[2].lower()
        return self.apply(inputs, self.path or ((self.name,) if self.name else (Auto(stem),)))

    def apply(self, inputs: tuple[Any, ...], path: Path) -> Symbol:
        """Apply under a path: build the layer at the first call, use it again at later ones."""
        for value in inputs:
            if not isinstance(value, Symbol):
                raise ConfigError(
                    f"{dotted(path)}: '{self.label}' got {value!r}, expected a symbolic tensor", where=self.where
                )
        if self.module is None:
            self.path = path
            self.module = self._build([value.value for value in inputs])
        result = self._run([value.value for value in inputs])
        return Symbol(result, Node(path, list(inputs), layer=self))

    def _build(self, inputs: list[Any]) -> nn.Module:
        if isinstance(self.spec, nn.Module):
            built = self.spec
        else:
            built = self._create(inputs)
        with self._explained(inputs):
            _materialize(built, inputs)
        apply_init(built, self.init, self._place(), self.where)
        if self.freeze:
            built.requires_grad_(False)
        return built

    def _create(self, inputs: list[Any]) -> nn.Module:
        target = self._target()
        known = dict(LAYERS.options(self.spec)) if target is None else signature_options(target)
        self._by_position(known)
        for option, default in known.items():
            given = self.options.get(option, default)
            if option == "batch_first" and option not in self.options:
                self.options[option] = True  # in a network under construction the batch always comes first
            inferred = self._size(option, inputs)
            if inferred is None or default is not REQUIRED:
                continue
            if given is REQUIRED:
                self.options[option] = inferred
            elif isinstance(given, int) and given != inferred:
                raise ShapeError(
                    f"{self._place()}: '{self.label}' expects {option}={given}, received {self._shapes(inputs)}",
                    where=self.where,
                    fix=f"leave {option} out: it is {inferred} here",
                )
        try:
            if target is None:
                return create_layer(self.spec, where=self.where, **self.options)
            built = target(**self.options)
            if not isinstance(built, nn.Module):
                raise ConfigError(
                    f"'{self.label}' made a {type(built).__name__}, expected an nn.Module", where=self.where
                )
            return built
        except ScirsError as error:
            raise self._placed(error) from error
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise ConfigError(
                f"{self._place()}: '{self.label}' refuses its options: {error}", where=self.where
            ) from error

    def _target(self) -> Any:
        """The class that is called, None for one of the registry."""
        if isinstance(self.spec, type):
            return self.spec
        return resolve(self.spec, where=self.where) if self._from_file else None

    def _by_position(self, known: Mapping[str, Any]) -> None:
        """Options by position, those that are inferred skipped."""
        names = [name for name in known if self._reads(name) is None]
        if len(self.args) > len(names):
            raise ConfigError(
                f"{self._place()}: '{self.label}' takes {len(names)} options, not {len(self.args)}", where=self.where
            )
        for name, value in zip(names, self.args, strict=False):
            if name in self.options:
                raise ConfigError(f"{self._place()}: '{self.label}' got '{name}' twice", where=self.where)
            self.options[name] = value
        self.args = ()

    def _reads(self, option: str) -> tuple[int, int] | None:
        return INFERRED_OTHERWISE.get((self.label, option), INFERRED.get(option))

    def _size(self, option: str, inputs: list[Any]) -> int | None:
        """The value of an option that follows from the inputs."""
        place = self._reads(option)
        if place is None or place[0] >= len(inputs) or not isinstance(inputs[place[0]], Tensor):
            return None
        shape = inputs[place[0]].shape
        return int(shape[place[1]]) if place[1] < len(shape) else None

    def _run(self, inputs: list[Any]) -> Any:
        assert self.module is not None
        probe = meta_copy(self.module)
        for part in probe.modules():
            if isinstance(part, _TAKES_FLOATS):
                part.register_forward_pre_hook(_check_dtype)
            elif isinstance(part, nn.Embedding | nn.EmbeddingBag):
                part.register_forward_pre_hook(_check_index)
        with self._explained(inputs), torch.no_grad():
            return probe(*inputs)

    @contextmanager
    def _explained(self, inputs: list[Any]) -> Iterator[None]:
        """What torch says of these inputs, as an error that names the layer."""
        try:
            yield
        except ScirsError as error:
            raise self._placed(error) from error
        except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
            raise ShapeError(
                f"{self._place()}: '{self.label}' cannot take {self._shapes(inputs)}",
                where=self.where,
                fix=first_sentence(error),
            ) from error

    def _placed(self, error: ScirsError) -> ScirsError:
        """The same error, with the layer's place in the model in front."""
        placed = copy.copy(error)
        placed.what = f"{self._place()}: {error.what}"
        placed.where = error.where or self.where
        return placed

    def _place(self) -> str:
        return dotted(self.path or (self.label,))

    @staticmethod
    def _shapes(inputs: list[Any]) -> str:
        return " and ".join(show_shape(value) for value in inputs) or "nothing"


# Layers of torch whose input must be of their weights' kind, which the meta device does not check.
_TAKES_FLOATS = (
    nn.Linear, nn.Bilinear, nn.LayerNorm, nn.GroupNorm, nn.RNNBase, nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
)  # fmt: skip


def _check_dtype(part: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Whole numbers, or float64 beside other floats; half floats are autocast's business."""
    weight = next(part.parameters(recurse=False), None)
    for x in inputs:
        if weight is None or not isinstance(x, Tensor):
            continue
        if not x.is_floating_point() or (x.dtype == torch.float64) != (weight.dtype == torch.float64):
            wanted, given = (str(dtype).removeprefix("torch.") for dtype in (weight.dtype, x.dtype))
            fix = "an embedding takes whole numbers" if given.startswith(("int", "uint")) else f"dtype: {wanted}"
            raise ConfigError(f"{type(part).__name__} expects {wanted}, received {given}", fix=fix)


def _check_index(part: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Whole numbers, which torch's meta device asks for since 2.12."""
    if isinstance(inputs[0], Tensor) and inputs[0].is_floating_point():
        given = str(inputs[0].dtype).removeprefix("torch.")
        raise ConfigError(f"{type(part).__name__} expects whole numbers, received {given}", fix="dtype: int64")


def _materialize(module: nn.Module, inputs: list[Any]) -> None:
    """Give lazy parameters (`torch.nn.LazyLinear` and the like) their shapes: one forward pass over zeros."""
    lazy = next((t for t in (*module.parameters(), *module.buffers()) if is_lazy(t)), None)
    if lazy is None:
        return
    was_training = module.training
    with torch.no_grad():
        module.eval()(*(torch.zeros_like(x, device=lazy.device) if isinstance(x, Tensor) else x for x in inputs))
    module.train(was_training)


def meta_copy(module: M) -> M:
    """A copy in evaluation mode whose tensors are on the meta device: it has shapes, and takes no memory.

    Example:
        >>> meta_copy(nn.Linear(3, 5))(torch.empty(2, 3, device="meta")).shape
        torch.Size([2, 5])
    """
    memo: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        empty = torch.empty_like(tensor, device="meta")
        memo[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(module, memo).eval()
