"""From one model format to another. What was written is read again and compared with the source, in bits or outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.builder import load_model_file
from scirs_neural.builder.model import Model
from scirs_neural.core.errors import CheckpointError, ConfigError, ParityError
from scirs_neural.core.paths import atomic_write, refuse_input, replacing, replacing_folder
from scirs_neural.core.suggestions import did_you_mean
from scirs_neural.data.pipeline import Pipeline
from scirs_neural.data.spec import DataSpec
from scirs_neural.guard.tensor_bytes import tensors_in
from scirs_neural.guard.weights import write_state_dict
from scirs_neural.models import catalogue, create_model
from scirs_neural.models.create import RECIPE
from scirs_neural.serialization.architecture import AnyModel, describe, fill, rebuild
from scirs_neural.serialization.contents import Contents, open_package
from scirs_neural.serialization.exporting import largest_difference, to_onnx, to_torch_export
from scirs_neural.serialization.formats import TITLES, check_target, identify
from scirs_neural.serialization.manifest import dump
from scirs_neural.serialization.migrate import model_from_1_to_2
from scirs_neural.serialization.package import inspect_package, load_package, save_package
from scirs_neural.serialization.schema import MODEL, WEIGHTS, check
from scirs_neural.serialization.sources import HF_CONFIG, HF_WEIGHTS, OURS, Source, as_texts, plain, read_source
from scirs_neural.serialization.writing import is_zip_name

SUFFIXES = {
    ".safetensors": "safetensors", ".pt": "torch", ".pth": "torch", ".zip": "package", ".pt2": "torch-export",
    ".onnx": "onnx", "": "huggingface",
}  # fmt: skip
NEEDS_NETWORK = ("package", "torch-export", "onnx")
_SAMPLES = 2


@dataclass(frozen=True)
class Converted:
    """What became of a file.

    Args:
        source: kind of what was read.
        target: kind of what was written.
        path: what was written.
        num_tensors: of the source.
        compared: what was loaded to the source: "tensors" or "outputs".
        difference: the largest, 0.0 where every bit is the same.
    """

    source: str
    target: str
    path: Path
    num_tensors: int
    compared: str
    difference: float


@dataclass(frozen=True)
class _Loaded:
    """What is converted: weights, the network if it is known, and what goes with it."""

    source: Source
    model: nn.Module | None = None
    spec: DataSpec | None = None
    inputs: tuple[Tensor, ...] | None = None
    task: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    plugins: tuple[Mapping[str, Any], ...] = ()


def convert(
    path: str | Path,
    target: str | Path,
    *,
    to: str | None = None,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Converted:
    """Write a model file in another format, and check it.

    Args:
        path: a package, .safetensors, .pt, .pth, .ckpt of Lightning, .pt2 or .onnx file, or a folder in the form of
            Hugging Face. From the last two kinds of file only the weights are taken.
        target: where to; the suffix says the format, none means a folder in the form of Hugging Face.
        to: the format, in place of what the suffix says.
        model: the network that bare weights are of: a registered name, a network file, or ``./mine.py:Net``.
        options: what it is built with, such as num_classes.
        input_shape: of one sample, for the check of outputs; None takes what the network was built for.

    Raises:
        CheckpointError: the source cannot be used, or its weights do not fit the network.
        ConfigError: the target needs a network and none is known, the format is unknown, or source and target are one.
        StorageError: a file of another kind stands there, which is left as it is.
        ParityError: what was written is not what was read. It is not left behind.

    Example:
        >>> import tempfile, scirs_neural as sn
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = sn.save_package(folder / "net.zip", sn.create_model("cnn", depth=1, width=4))
        >>> done = convert(folder / "net.zip", folder / "net.safetensors")
        >>> done.num_tensors, done.compared, done.difference
        (14, 'tensors', 0.0)
    """
    target = Path(target).expanduser()
    kind = _kind(target, to)
    refuse_input(target, [Path(path).expanduser()], "the target")
    check_target(target, kind)
    loaded = _read(path, model, dict(options or {}), input_shape)
    if loaded.model is None and kind in NEEDS_NETWORK:
        raise ConfigError(
            f"{TITLES[kind]} needs the network, and {loaded.source.kind} holds weights alone", where=str(path),
            fix="name it: --model resnet18 --set num_classes=10",
        )  # fmt: skip
    compared, difference = _WRITERS[kind](loaded, target)
    return Converted(loaded.source.kind, kind, target, len(loaded.source.state), compared, difference)


def _kind(target: Path, to: str | None) -> str:
    kind = SUFFIXES.get(target.suffix.lower()) if to is None else to
    if kind not in _WRITERS:
        what = f"unknown format '{to}'" if to else f"no format is known by the suffix of '{target.name}'"
        suggestions = did_you_mean(to or target.suffix, [*_WRITERS, *SUFFIXES])
        raise ConfigError(what, where="the target", suggestions=suggestions, fix=f"one of {', '.join(_WRITERS)}")
    if kind == "package" and to is None and not is_zip_name(target):
        raise ConfigError("a package file ends in .zip", where="the target")
    return kind


def _read(path: str | Path, name: str | None, options: dict[str, Any], input_shape: tuple[int, ...] | None) -> _Loaded:
    if identify(path) == "package":
        return _read_package(path, name, options, input_shape)
    source = read_source(path)
    described = source.facts.get(OURS) if source.kind == "huggingface" else None
    described = described if isinstance(described, dict) else {}
    if name is not None:
        network = _network(name, options, input_shape)
        try:
            fill(network, _unwrapped(source.state, network), str(path))
        except CheckpointError as error:
            if source.kind == "onnx":
                error.fix = "exporters fold layers into each other: convert what the graph was made from"
            raise
    elif described and not _is_class(described.get("model")):
        known: AnyModel = check(MODEL, _newest(described.get("model")), str(path))
        shapes = {key: tuple(tensor.shape) for key, tensor in source.state.items()}
        network = rebuild(known, shapes, None, str(path))
        fill(network, source.state, str(path))
    else:
        return _Loaded(source)
    held, task = described.get("spec"), described.get("task")
    spec = None if held is None else DataSpec.from_dict(held, f"{path}, config.json")
    network.eval()
    # under the network's own names
    source = Source(source.kind, dict(network.state_dict()), source.facts, source.tokenizer)
    return _Loaded(source, network, spec, _inputs(network, input_shape, spec), task)


def _read_package(
    path: str | Path, name: str | None, options: dict[str, Any], input_shape: tuple[int, ...] | None
) -> _Loaded:
    """A package whole; only its weights where it is of a class of the user's, and that was not named."""
    if name is None and _is_class(inspect_package(path).model):
        with open_package(path) as contents:
            state = tensors_in(contents.map(WEIGHTS), str(path))
            return _Loaded(Source("package", state, {"name": contents.manifest.name}, _tokenizer_in(contents)))
    network = None if name is None else _network(name, options, input_shape)
    package = load_package(path, None if network is None else _giving(network))
    with open_package(path) as contents:
        tokenizer = _tokenizer_in(contents)
    source = Source("package", dict(package.model.state_dict()), {"name": package.manifest.name}, tokenizer)
    return _Loaded(
        source, package.model, package.spec, _inputs(package.model, input_shape, package.spec), package.task_record,
        package.answer or None, package.plugins,
    )  # fmt: skip


def _tokenizer_in(contents: Contents) -> dict[str, bytes]:
    names = [name for name in contents.manifest.members if name.startswith("tokenizer/")]
    contents.check_members(names=tuple(names))
    return {name.removeprefix("tokenizer/"): contents.archive.read(name) for name in names}


def _giving(network: nn.Module) -> Callable[..., nn.Module]:
    return lambda **_: network


def _is_class(model: Any) -> bool:
    return isinstance(model, dict) and model.get("kind") == "class"


def _newest(model: Any) -> Any:
    """A network's description, also as folders of before version 2 of the package format have it."""
    return model_from_1_to_2(model) if isinstance(model, dict) and "plans" in model else model


def _network(name: str, options: dict[str, Any], input_shape: tuple[int, ...] | None) -> nn.Module:
    if name.endswith((".yaml", ".yml", ".json")):
        if more := options.keys() - {"num_classes"}:
            raise ConfigError(f"a network file takes no option '{min(more)}'", fix="num_classes only")
        return load_model_file(name, input_shape=input_shape, num_classes=options.get("num_classes"), allow_files=True)
    return create_model(name, **options)


def _unwrapped(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Names as the network has them: without the attribute of a LightningModule that it was kept under."""
    ours = network.state_dict().keys()
    while state.keys() != ours:
        first = {name.partition(".")[0] for name in state}
        under = next((part for part in first if not any(key.partition(".")[0] == part for key in ours)), None)
        if len(first) != 1 or under is None:
            break
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    return state


def _inputs(
    network: nn.Module, shape: tuple[int, ...] | None, spec: DataSpec | None = None
) -> tuple[Tensor, ...] | None:
    """Inputs to compare outputs with, always the same; None where nobody knows their shape."""
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    if shape is not None:
        facts = [(shape, dtype)]
    elif spec is not None and spec.inputs:
        example = Pipeline(DataSpec(spec.name, spec.inputs)).example(_SAMPLES)
        if not all(isinstance(example[name], Tensor) for name in spec.inputs):
            return None
        facts = [(tuple(example[name].shape[1:]), example[name].dtype) for name in spec.inputs]
    elif isinstance(network, Model):
        facts = [(fact.shape, getattr(torch, fact.dtype)) for fact in network.inputs]
    elif (recipe := vars(network).get(RECIPE)) is not None and recipe["name"] in catalogue():
        entry = catalogue()[recipe["name"]]
        sides = recipe["input_size"] or (entry.input_size, entry.input_size)
        facts = [((recipe["in_channels"] or entry.in_channels, *sides), dtype)]
    else:
        return None
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(_SAMPLES, *sizes, generator=generator).to(dtype)
        if kind.is_floating_point
        else torch.zeros(_SAMPLES, *sizes, dtype=kind)
        for sizes, kind in facts
    )


def _to_safetensors(loaded: _Loaded, target: Path) -> tuple[str, float]:
    from safetensors.torch import load_file

    with replacing(target) as temporary:
        write_state_dict(temporary, loaded.source.state, as_texts(loaded.source.facts))
        _same(load_file(temporary), loaded.source.state, target)
    return "tensors", 0.0


def _to_torch(loaded: _Loaded, target: Path) -> tuple[str, float]:
    with replacing(target) as temporary:
        torch.save(loaded.source.state, temporary)
        _same(torch.load(temporary, weights_only=True), loaded.source.state, target)
    return "tensors", 0.0


def _to_huggingface(loaded: _Loaded, target: Path) -> tuple[str, float]:
    """A folder of model.safetensors and config.json; the latter says how a known network is built."""
    from safetensors.torch import load_file

    facts = plain({key: value for key, value in loaded.source.facts.items() if key != OURS})
    config: dict[str, Any] = dict(facts)
    if loaded.model is not None:
        config |= {"architectures": [type(loaded.model).__name__], "model_type": OURS}
        if loaded.plugins:
            raise ConfigError(
                "such a folder has no place for what plugins did", fix="convert it to a package, or to ONNX"
            )
        spec = loaded.spec.to_dict() if loaded.spec else None
        config[OURS] = {"model": describe(loaded.model), "spec": spec, "task": loaded.task}
        lists = [target["classes"] for target in spec["targets"].values() if "classes" in target] if spec else []
        if len(lists) == 1:
            config["id2label"] = {str(number): name for number, name in enumerate(lists[0])}
            config["label2id"] = {name: number for number, name in enumerate(lists[0])}
    with replacing_folder(target, HF_CONFIG) as folder:
        write_state_dict(folder / HF_WEIGHTS, loaded.source.state, {"format": "pt"})
        (folder / HF_CONFIG).write_bytes(dump(config))
        for name, content in loaded.source.tokenizer.items():
            if "/" not in name:  # such a folder is flat
                (folder / name).write_bytes(content)
        _same(load_file(folder / HF_WEIGHTS), loaded.source.state, target)
    return "tensors", 0.0


def _to_package(loaded: _Loaded, target: Path) -> tuple[str, float]:
    assert loaded.model is not None
    facts = plain({key: value for key, value in loaded.source.facts.items() if key not in (OURS, "name")})
    beside = {"source.json": json.dumps(facts, indent=1).encode()} if facts else {}
    save_package(
        target, loaded.model, spec=loaded.spec, task=loaded.task, answer=loaded.answer, plugins=loaded.plugins,
        exports=beside, tokenizer=loaded.source.tokenizer,
    )  # fmt: skip
    is_class = inspect_package(target).model["kind"] == "class"
    again = load_package(target, _giving(_copy_of(loaded.model)) if is_class else None).model
    _same(dict(again.state_dict()), dict(loaded.model.state_dict()), target)
    return _compare(again, loaded, target)


def _to_program(
    loaded: _Loaded, target: Path, export: Callable[[nn.Module, tuple[Tensor, ...]], tuple[bytes, float]]
) -> tuple[str, float]:
    assert loaded.model is not None
    if loaded.inputs is None:
        raise ConfigError("the shape of the network's input is not known", fix="give it: --input-shape 3,224,224")
    content, difference = export(loaded.model, loaded.inputs)
    atomic_write(target, content)
    return "outputs", difference


def _compare(again: nn.Module, loaded: _Loaded, target: Path) -> tuple[str, float]:
    assert loaded.model is not None
    if loaded.inputs is None:
        return "tensors", 0.0
    with torch.no_grad():
        difference = largest_difference(again(*loaded.inputs), loaded.model(*loaded.inputs))
    if difference:
        raise ParityError(f"{target} gives outputs that differ from its source by {difference:.2g}")
    return "outputs", difference


def _copy_of(model: nn.Module) -> nn.Module:
    copied = deepcopy(model)
    with torch.no_grad():
        for tensor in copied.parameters():
            tensor.zero_()  # so that what it holds afterwards came from the file
    return copied


def _same(written: Mapping[str, Tensor], expected: Mapping[str, Tensor], target: Path) -> None:
    """Every tensor to the last bit.

    Raises:
        ParityError: one is missing or differs.
    """
    wrong = [name for name in expected if name not in written or not _equal(written[name], expected[name])]
    if wrong or len(written) != len(expected):
        raise ParityError(f"{target} does not hold what was read: {', '.join(wrong[:3]) or 'it holds more'}")


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    flat = (one.contiguous().reshape(-1), other.detach().contiguous().reshape(-1))
    return torch.equal(*(part.view(torch.uint8) for part in flat)) if one.numel() else True


_WRITERS: dict[str, Callable[[_Loaded, Path], tuple[str, float]]] = {
    "safetensors": _to_safetensors,
    "torch": _to_torch,
    "huggingface": _to_huggingface,
    "package": _to_package,
    "torch-export": partial(_to_program, export=to_torch_export),
    "onnx": partial(_to_program, export=to_onnx),
}
