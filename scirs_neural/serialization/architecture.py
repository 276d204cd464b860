"""From a network to ``model.json``, and from there to the network again. Weights are not looked at here.

A network is built on the meta device first. Only when its names and shapes are those of the weights is memory taken for
it, so a file that asks for a million layers, or for terabytes, costs nothing.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.overrides import TorchFunctionMode

from scirs_neural.builder import build
from scirs_neural.builder.model import Model
from scirs_neural.builder.registry import COMPOSITIONS
from scirs_neural.core.errors import CheckpointError, RefusedError, ScirsError
from scirs_neural.core.plain import plain_data
from scirs_neural.core.signatures import signature_options
from scirs_neural.guard.tensor_bytes import ALIGNMENT
from scirs_neural.models import MODELS, create_model, load_strictly, on_meta
from scirs_neural.models.create import RECIPE
from scirs_neural.serialization.modifications import find_modifications, modify, named_tensors
from scirs_neural.serialization.schema import BuilderModel, ClassModel, ZooModel

MAX_STEPS, MAX_STEPS_A_TENSOR = 10_000, 50  # calls of torch while shapes are found; the zoo takes 12 a tensor
MAX_MODULES, MAX_MODULES_A_TENSOR = 1_000, 50  # a file of few tensors cannot ask for many layers
_ADAPTATIONS = ("num_classes", "in_channels", "stem", "input_size")
_BUILD_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NotImplementedError, OSError,
    RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip

ModelClass = Callable[..., nn.Module]
AnyModel = ZooModel | BuilderModel | ClassModel
Change = Callable[[nn.Module], nn.Module]


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside the wrappers of torch.compile and of data parallelism."""
    while True:
        is_parallel = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        inner = getattr(model, "_orig_mod", None) or (model.module if is_parallel else None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def describe(
    model: nn.Module,
    model_class: ModelClass | None = None,
    options: Mapping[str, Any] | None = None,
    changes: Sequence[Change] = (),
) -> dict[str, Any]:
    """A network as ``model.json`` has it, modifications included.

    Args:
        model: the network.
        model_class: what builds it, where that is a class or function of the user's.
        options: what that is called with: plain data.
        changes: what plugins do to a fresh network; modifications are what differs after that.

    Raises:
        CheckpointError: it cannot be built again from plain data.

    Example:
        >>> describe(create_model("cnn", depth=1, width=4))["options"]
        {'depth': 1, 'width': 4}
    """
    recipe = vars(model).get(RECIPE)
    plain: dict[str, Any]
    if model_class is not None or options is not None:
        plain = _class_of(model_class or type(model), options)
    elif isinstance(model, Model):
        plain = {"kind": "builder", "spec": model.to_spec()}
    elif recipe is not None and recipe["name"] in MODELS:
        chosen = {key: value for key, value in recipe.items() if key not in ("name", *_ADAPTATIONS)}
        size = recipe["input_size"]
        fitted = {key: recipe[key] for key in _ADAPTATIONS} | {"input_size": list(size) if size else None}
        plain = {"kind": "zoo", "name": recipe["name"], **fitted, "options": _plain(chosen)}
    else:
        plain = _class_of(type(model), None if recipe is None else _arguments(type(model), recipe))
    fresh = _fresh(plain, model_class or type(model), len(model.state_dict()), changes)
    try:
        return {**plain, "modifications": [] if fresh is None else find_modifications(fresh, model)}
    except CheckpointError as error:
        if plain["kind"] == "class" and model_class is None and options is None:
            return {**plain, "modifications": []}  # its user knows its options, and will give what builds it
        if changes:
            error.fix = "a plugin's record must say all that it did to the network"
        raise


def rebuild(
    described: AnyModel,
    shapes: Mapping[str, tuple[int, ...]],
    model_class: ModelClass | None,
    where: str,
    changes: Sequence[Change] = (),
) -> nn.Module:
    """The network of a ``model.json``, with whatever values; it has exactly the tensors of the weights.

    Args:
        described: what the file says.
        shapes: names and shapes in the weights.
        model_class: the user's class, where the file names one.
        where: the package, for errors.
        changes: what plugins do to a fresh network, in order.

    Raises:
        CheckpointError: the file names something unknown, or another network than the weights are of.
    """
    if isinstance(described, ClassModel):
        made = _of_class(described, model_class, where)
        with _as_checkpoint_error(where):
            return _modified(made, described, shapes, where, changes)
    if model_class is not None:
        raise CheckpointError(
            f"the package holds a network of kind '{described.kind}', which takes no model_class", where=where
        )
    if isinstance(described, ZooModel) and described.name not in MODELS:
        raise MODELS.unknown(described.name, where=where)
    limit = MAX_MODULES + MAX_MODULES_A_TENSOR * len(shapes)
    if isinstance(described, BuilderModel):
        _check_flat(described.spec, limit, where)
    grad = torch.set_grad_enabled(torch.is_grad_enabled())  # put back even if leaving a no_grad() was the last step
    with grad, _as_checkpoint_error(where), on_meta(), _few_modules(limit, where), _FewSteps(len(shapes), where):
        probe = _modified(_build(described, where), described, shapes, where, changes)
    if _is_whole(probe) and not changes:
        return probe.to_empty(device="cpu")
    with _as_checkpoint_error(where):  # it keeps values outside of its weights, which only building it gives
        return _modified(_build(described, where), described, shapes, where, changes)


def fill(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Give a network the values of a file, in the file's dtypes; every name and shape must match.

    The network takes the tensors themselves where it can, and copies what is laid out in another way in it.

    Raises:
        CheckpointError: they do not, or a dtype is of another kind.
    """
    tensors = named_tensors(model)
    taken = _alone(tensors) & _alone(state) if _loads_plainly(model) else set()
    values = dict(state)
    for name, tensor in tensors.items():
        if name not in state:
            continue
        dtype = _fitting(state[name].dtype, tensor.dtype, name, where)
        if name in taken and tensor.shape == state[name].shape:
            tensor.data = state[name]
            values[name] = tensor  # loading a tensor into itself copies nothing
        else:
            tensor.data = tensor.data.to(dtype)
    load_strictly(model, values, where)


def _loads_plainly(model: nn.Module) -> bool:
    """Whether no module does something of its own with the values that it loads."""
    return all(
        type(module)._load_from_state_dict.__module__.startswith("torch.") and not module._load_state_dict_pre_hooks
        for module in model.modules()
    )


def _alone(tensors: Mapping[str, Tensor]) -> set[str]:
    """Names of plain tensors, each in one piece of memory that is its own and begins where torch's own does."""
    plain = {
        name: tensor for name, tensor in tensors.items()
        if type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided and not tensor.is_quantized
    }  # fmt: skip
    storages = {name: tensor.untyped_storage() for name, tensor in plain.items()}
    users = Counter({id(tensor): storages[name].data_ptr() for name, tensor in plain.items()}.values())
    return {
        name for name, tensor in plain.items()
        if tensor.is_contiguous() and tensor.nbytes == storages[name].nbytes()
        and users[storages[name].data_ptr()] == 1 and tensor.data_ptr() % ALIGNMENT == 0
    }  # fmt: skip


def _fitting(dtype: torch.dtype, ours: torch.dtype, name: str, where: str) -> torch.dtype:
    """The dtype of a tensor in a package: the network's own, or of floating point where that is, wide or narrow.

    Raises:
        CheckpointError: it is of another kind.
    """
    if dtype != ours and not (dtype.is_floating_point and ours.is_floating_point):
        raise CheckpointError(f"'{name}' is of {dtype}, where the network has {ours}", where=where)
    return dtype


def _build(described: ZooModel | BuilderModel, where: str) -> nn.Module:
    if isinstance(described, BuilderModel):
        model: nn.Module = build(described.spec, where=where)
    else:
        size = described.input_size
        model = create_model(
            described.name, num_classes=described.num_classes, in_channels=described.in_channels, stem=described.stem,
            input_size=None if size is None else (size[0], size[1]), **_options(described, where),
        )  # fmt: skip
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"'{described.kind}' gave a {type(model).__name__}, not a network", where=where)
    return model


def _check_flat(spec: Mapping[str, Any], limit: int, where: str) -> None:
    """A packaged graph names each layer once, as `Model.to_spec` writes it: nothing in it repeats or nests."""
    layers = spec.get("layers")
    if "inputs" not in spec or not isinstance(layers, list) or not all(isinstance(entry, dict) for entry in layers):
        raise CheckpointError("model.json: the spec of a graph has inputs, and layers as mappings", where=where)
    if nested := sorted({key for entry in layers for key in entry} & set(COMPOSITIONS)):
        raise CheckpointError(f"model.json: a graph is written flat, without '{nested[0]}'", where=where)
    if len(layers) > limit:
        raise _too_large(limit, where)


def _options(described: ZooModel, where: str) -> dict[str, Any]:
    reserved = {"weights", "seed", "load", "name", *_ADAPTATIONS} & described.options.keys()
    if reserved:
        raise CheckpointError(f"model.json: '{min(reserved)}' is no option of a network", where=where)
    return dict(described.options)


def _of_class(described: ClassModel, model_class: ModelClass | None, where: str) -> nn.Module:
    if model_class is None:
        raise CheckpointError(
            f"the package holds a network of the class '{described.name}', "
            "which is not imported because a file says so",
            where=where,
            fix=f"give it: load_package(…, model_class={described.name})",
        )
    model = model_class(**described.options)
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"model_class gave a {type(model).__name__}, not an nn.Module", where=where)
    return model


def _modified(
    model: nn.Module, described: AnyModel, shapes: Mapping[str, tuple[int, ...]], where: str, changes: Sequence[Change]
) -> nn.Module:
    for change in changes:
        model = change(model)
    for modification in described.modifications:
        modify(model, modification, where)
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if torch.is_tensor(tensor)}
    if ours != dict(shapes):
        missing, more = sorted(ours.keys() - shapes.keys()), sorted(shapes.keys() - ours.keys())
        other = sorted(name for name in ours.keys() & shapes.keys() if ours[name] != shapes[name])
        rows = [("missing", missing), ("unexpected", more), ("of another shape", other)]
        faults = "; ".join(f"{len(names)} {label}: {', '.join(names[:3])}" for label, names in rows if names)
        raise CheckpointError(f"the weights are not of the network that model.json describes: {faults}", where=where)
    return model


def _is_whole(model: nn.Module) -> bool:
    """Whether the weights hold every value that the network has: no other buffers, no loose tensors."""
    saved = model.state_dict().keys()
    loose = any(
        torch.is_tensor(value) for module in model.modules() for name, value in vars(module).items() if name[0] != "_"
    )
    return not loose and all(name in saved for name, _ in model.named_buffers(remove_duplicate=False))


def _fresh(
    plain: Mapping[str, Any], model_class: ModelClass, num_tensors: int, changes: Sequence[Change]
) -> nn.Module | None:
    """The network as its description builds it, without memory; None where a class needs other options."""
    try:
        with on_meta():
            if plain["kind"] == "class":
                fresh = model_class(**plain["options"])
            else:
                with _FewSteps(num_tensors, "the network"):  # as when it is loaded
                    kind = BuilderModel if plain["kind"] == "builder" else ZooModel
                    fresh = _build(kind(**plain), "the network")
            for change in changes:
                fresh = change(fresh)
            return fresh
    except ScirsError:
        raise
    except _BUILD_ERRORS:
        if plain["kind"] == "class":
            return None
        raise


def _class_of(model_class: ModelClass, options: Mapping[str, Any] | None) -> dict[str, Any]:
    name = getattr(model_class, "__qualname__", type(model_class).__qualname__)
    module = getattr(model_class, "__module__", "") or ""
    return {"kind": "class", "name": name, "module": module, "options": _plain(dict(options or {}))}


def _arguments(model_class: ModelClass, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a class of a user's file was called with, by name: as `create_model` calls it."""
    takes = signature_options(model_class)
    return {key: value for key, value in recipe.items() if key in takes and value is not None}


def _plain(value: Any) -> Any:
    """Options as JSON has them.

    Raises:
        CheckpointError: one is no plain data.
    """

    def refuse(part: Any) -> NoReturn:
        raise CheckpointError(f"the option {part!r} is no plain data", fix="give numbers, texts, lists and mappings")

    return plain_data(value, refuse)


@contextlib.contextmanager
def _as_checkpoint_error(where: str) -> Iterator[None]:
    """What goes wrong while a network is built is the file's fault, and is raised as an error of ours."""
    try:
        yield
    except ScirsError as error:
        error.where = error.where or where
        raise
    except _BUILD_ERRORS as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise CheckpointError(
            f"the network that model.json describes cannot be built: {reason}", where=where
        ) from error


def _too_large(limit: int, where: str) -> RefusedError:
    what = f"refused: model.json describes more than {limit:,} layers, far more than the weights are of"
    return RefusedError(what, where=where)


class _FewSteps(TorchFunctionMode):
    """Stop what takes too many steps while shapes are found, such as a recurrent layer over a billion time steps."""

    def __init__(self, num_tensors: int, where: str) -> None:
        super().__init__()
        self.where, self.left = where, MAX_STEPS + MAX_STEPS_A_TENSOR * num_tensors

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left == -1:  # once: what is cleaned up on the way out takes steps too
            raise RefusedError("refused: finding its shapes takes far too many steps", where=self.where)
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _few_modules(limit: int, where: str) -> Iterator[None]:
    """Stop the building of a network that grows past all measure."""
    count = 0

    def counted(module: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise _too_large(limit, where)

    handle = register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()
