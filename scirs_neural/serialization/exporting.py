"""A network as a program of torch.export or an ONNX graph, each run again and compared with the network itself."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.errors import CheckpointError, MissingExtraError, ParityError

TOLERANCE = 1e-4  # of the largest output; sums in another order differ by 1e-6 or so


def to_torch_export(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[bytes, float]:
    """A .pt2 file, and how far its outputs are from the network's.

    Args:
        model: in evaluation mode.
        inputs: examples with two samples or more; the number of samples stays free where the network lets it.

    Raises:
        CheckpointError: torch.export cannot follow the network.
        ParityError: the program gives something else than the network.
    """
    program = _exported(model, inputs)
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(program, file)
        file.seek(0)
        again = torch.export.load(file).module()
    with torch.no_grad():
        difference = largest_difference(again(*inputs), model(*inputs))
    return file.getvalue(), _checked(difference, "the program of torch.export")


def to_onnx(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[bytes, float]:
    """An ONNX file, and how far ONNX Runtime's outputs are from the network's.

    Raises:
        CheckpointError: the network cannot be exported.
        MissingExtraError: onnx, onnxscript or onnxruntime are not installed.
        ParityError: ONNX Runtime gives something else than the network.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise MissingExtraError(error.name or "onnxruntime", "onnx", "an ONNX file") from error
    names = [f"input{number}" if number else "input" for number in range(len(inputs))]
    exported = _exported(model, inputs)
    with _exporting("ONNX"):
        program = torch.onnx.export(
            exported, (), dynamo=True, verbose=False, input_names=names, output_names=["output"]
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    fed = {entry.name: x.numpy() for entry, x in zip(session.get_inputs(), inputs, strict=True)}
    outputs = [torch.from_numpy(array) for array in session.run(None, fed)]
    with torch.no_grad():
        difference = largest_difference(outputs, model(*inputs))
    return content, _checked(difference, "the ONNX graph in ONNX Runtime")


def largest_difference(ours: Any, theirs: Any) -> float:
    """The largest absolute difference of two outputs, relative to the larger of 1 and the largest value.

    Example:
        >>> largest_difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
        0.2
    """
    first, second = _flat(ours), _flat(theirs)
    if [tuple(x.shape) for x in first] != [tuple(x.shape) for x in second]:
        return float("inf")
    largest = 0.0
    for a, b in zip(first, second, strict=True):
        if a.numel():
            scale = max(1.0, float(b.abs().max()))
            largest = max(largest, float((a.double() - b.double()).abs().max()) / scale)
    return largest


def _flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value.detach()]
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in _flat(part)]


def _checked(difference: float, what: str) -> float:
    if not difference <= TOLERANCE:
        raise ParityError(f"{what} differs from the network by {difference:.2g}, more than {TOLERANCE:g}")
    return difference


def _exported(model: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    free = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
    with _exporting("torch.export"):
        return torch.export.export(model, inputs, dynamic_shapes=free)


@contextlib.contextmanager
def _exporting(by: str) -> Iterator[None]:
    """No warnings, and what an exporter raises as an error of ours."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:  # an exporter may raise anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise CheckpointError(f"{by} cannot follow the network: {reason}") from error
