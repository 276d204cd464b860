"""Convert a model file, and check what was written: ``python -m scirs_neural.convert net.ckpt net.safetensors``.

    python -m scirs_neural.convert digits.zip digits.onnx
    python -m scirs_neural.convert weights.pth net.zip --model resnet18 --set num_classes=10

The suffix says the format: .safetensors, .pt, .pth, .zip (package), .pt2 (torch.export), .onnx; none means a folder in
the form of Hugging Face.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError


def main(argv: list[str]) -> int | None:
    """Write a model file in another format, and say how far it is from the source."""
    parser = Arguments(
        "python -m scirs_neural.convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a package, weights, a Lightning checkpoint, a .pt2 or .onnx file, a folder")
    parser.add_argument("target", help="where to; its suffix says the format")
    parser.add_argument("--to", metavar="KIND", help="package, safetensors, torch, huggingface, torch-export or onnx")
    parser.add_argument("--model", metavar="NAME", help="the network of bare weights: a name, net.yaml, ./mine.py:Net")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="what it is built with"
    )
    parser.add_argument("--input-shape", metavar="C,H,W", help="of one sample, where the source does not say it")
    args = parser.parse_args(argv)
    options, shape = _options(args.set), _shape(args.input_shape)
    from scirs_neural.serialization.convert import convert

    done = convert(args.source, args.target, to=args.to, model=args.model, options=options, input_shape=shape)
    how = "equal to the last bit" if not done.difference else f"largest relative difference {done.difference:.2g}"
    print(f"{args.source} ({done.source}) -> {done.path} ({done.target})")
    print(f"checked: {done.num_tensors} tensors read; {done.compared} of what was written: {how}")
    return None


def _options(texts: list[str]) -> dict[str, Any]:
    from scirs_neural.guard.text import read_yaml

    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"'{text}' sets nothing", where="command line, --set", fix="write key=value")
        if key in options:
            raise ConfigError(f"'{key}' is set twice", where="command line, --set")
        options[key] = read_yaml(value.encode(), where=f"command line, --set {key}")
    return options


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ConfigError(f"'{text}' is no shape", where="command line, --input-shape", fix="such as 3,224,224")
    return shape


if __name__ == "__main__":
    sys.exit(run_command(main))
