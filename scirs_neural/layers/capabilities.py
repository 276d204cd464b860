"""What torch can do with each layer, found by trying: shapes, autocast, `torch.compile`, `torch.export`, ONNX.

    python -m scirs_neural.layers.capabilities linear snake       # some rows, on the terminal
    python -m scirs_neural.layers.capabilities --write            # all, into capabilities.json; then: make docs

TorchScript is not in the table: it is deprecated in torch, and no layer here is written for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.core.command import run_command
from scirs_neural.layers.declared_capabilities import Row, to_markdown, write
from scirs_neural.layers.examples import EXAMPLES, Example
from scirs_neural.layers.registry import LAYERS
from scirs_neural.layers.spec import create_layer


def example_inputs(example: Example, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Any, ...]:
    """The inputs of an example, drawn from a normal distribution."""
    generator = torch.Generator().manual_seed(seed)
    inputs: list[Any] = []
    for text in example.inputs:
        kind, *numbers = text.split()
        shape = [int(number) for number in numbers]
        if kind == "n":
            inputs.append(shape[0])
        elif kind == "f":
            inputs.append(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype))
        else:
            inputs.append(torch.randint(int(kind[1:]), shape, generator=generator))
    return tuple(inputs)


def build_example(name: str, seed: int = 0) -> nn.Module:
    """The layer of an example, with its lazy parameters made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = create_layer(name, **EXAMPLES[name].options)
        if name.startswith("lazy_"):
            with torch.no_grad():
                layer(*example_inputs(EXAMPLES[name]))
    return layer


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a layer gave."""
    while not isinstance(output, Tensor):
        output = output[0]
    return output


def autocast_works(name: str) -> bool:
    """Whether the layer runs under bfloat16 autocast, close to its result in float32.

    Without oneDNN, whose bfloat16 kernels some processors lack: the answer is the layer's, not the machine's.
    """
    layer, inputs = build_example(name).eval(), example_inputs(EXAMPLES[name])
    torch.manual_seed(0)
    exact = first_tensor(layer(*inputs))
    torch.manual_seed(0)  # fractional pooling draws in evaluation too
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.backends.mkldnn.flags(enabled=False):
        rough = first_tensor(layer(*inputs))
    return bool(torch.allclose(exact, rough.float(), rtol=0.05, atol=0.1))


def compiles(name: str) -> bool:
    """Whether `torch.compile` captures the layer as one graph, forward and backward, with the same result."""
    layer, inputs = build_example(name).eval(), example_inputs(EXAMPLES[name])
    torch._dynamo.reset()
    torch.manual_seed(0)
    expected = first_tensor(layer(*inputs))
    torch.manual_seed(0)
    received = first_tensor(torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=False)(*inputs))
    return bool(torch.allclose(expected, received, rtol=1e-5, atol=1e-6))


def exports(name: str) -> bool:
    """Whether `torch.export` captures the layer, with the same result."""
    layer, inputs = build_example(name).eval(), example_inputs(EXAMPLES[name])
    torch.manual_seed(0)
    expected = first_tensor(layer(*inputs))
    program = torch.export.export(layer, inputs)
    torch.manual_seed(0)
    received = first_tensor(program.module()(*inputs))
    return bool(torch.allclose(expected, received, rtol=1e-5, atol=1e-6))


def onnx_works(name: str) -> bool:
    """Whether the layer becomes an ONNX model that ONNX Runtime runs, with the same result."""
    import onnxruntime

    layer, inputs = build_example(name).eval(), example_inputs(EXAMPLES[name])
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file = str(Path(folder) / "layer.onnx")
        torch.onnx.export(layer, inputs, file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        tensors = [value.numpy() for value in inputs if isinstance(value, Tensor)]
        feed = {spec.name: value for spec, value in zip(session.get_inputs(), tensors, strict=True)}
        received = torch.from_numpy(session.run(None, feed)[0])
        return bool(torch.allclose(first_tensor(layer(*inputs)), received, rtol=1e-4, atol=1e-5))


def has(capability: Callable[[str], bool], name: str) -> bool:
    """Whether a layer has a capability; one that fails when it is tried is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a layer cannot do shows in the result
        try:
            return capability(name)
        except Exception as error:  # any failure of torch's compilers is an answer here
            print(f"{name}: {capability.__name__}: {str(error).strip().partition(chr(10))[0][:200]}", file=sys.stderr)
            return False


def layer_row(name: str) -> Row:
    """Try everything on one layer."""
    example = EXAMPLES[name]
    output = first_tensor(build_example(name)(*example_inputs(example)))
    return Row(
        name,
        ", ".join(_shape(text) for text in example.inputs),
        _shape(f"f {' '.join(str(size) for size in output.shape)}"),
        autocast=has(autocast_works, name),
        compile=has(compiles, name),
        export=has(exports, name),
        onnx=has(onnx_works, name),
    )


def _shape(text: str) -> str:
    kind, *numbers = text.split()
    if kind == "n":
        return numbers[0]
    shape = f"({', '.join(numbers)})"
    return shape if kind == "f" else f"i({kind[1:]}) {shape}"


def main(arguments: Sequence[str]) -> int:
    """Try layers, and print the table or keep it in the package."""
    parser = argparse.ArgumentParser(
        prog="python -m scirs_neural.layers.capabilities", description=(__doc__ or "")[:97]
    )
    parser.add_argument("names", nargs="*", help="layers; none means all")
    parser.add_argument("--write", action="store_true", help="keep what was found of all layers in the package")
    options = parser.parse_args(arguments)
    if options.write and options.names:
        parser.error("--write takes no names: the table is written whole")
    names = [LAYERS.entry(name).name for name in options.names] or sorted(EXAMPLES)
    rows = [layer_row(name) for name in names]
    if options.write:
        write(rows)
    else:
        print(to_markdown(rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
