"""Meet a step again whose numbers were none: ``python -m scirs_neural.runs.replay RUN/nonfinite/step-12``."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scirs_neural.core.arguments import Arguments
from scirs_neural.core.command import run_command
from scirs_neural.core.errors import ConfigError
from scirs_neural.data.spec import DataSpec
from scirs_neural.guard.text import read_json
from scirs_neural.guard.weights import read_state_dict
from scirs_neural.runs.folder import RunFolder
from scirs_neural.runs.groups import config_groups
from scirs_neural.runs.parts import module_from_spec
from scirs_neural.training.nonfinite import bad_gradient, watch


def replay(place: str | Path, *, model: nn.Module | None = None, allow: Collection[str] = ()) -> str | None:
    """Compute a kept step once more.

    Args:
        place: its folder.
        model: your own network, for a run of one.
        allow: what the run's configuration names and may be imported.

    Returns:
        The first module output or gradient that is not finite; None if all are.

    Raises:
        ConfigError: there is no kept step.
    """
    place = Path(place)
    if not (place / "step.json").is_file():
        fix = "name a folder such as runs/digits-resnet18/1/nonfinite/step-12"
        raise ConfigError(f"no kept step in '{place}'", fix=fix)
    step: dict[str, Any] = read_json(place / "step.json")
    run = RunFolder(place.parent.parent)
    made = () if model is None else ("model",)
    config = run.read_config(config_groups() if model is None else {}, allow=allow, made=made)
    if config.plugins:
        raise ConfigError(
            "a step of a run with plugins cannot be met again here", fix="look at weights and batch yourself"
        )
    module = module_from_spec(config, DataSpec.from_dict(step["data"]), model)
    module.model.load_state_dict(read_state_dict(place / "weights.safetensors"))
    tensors = read_state_dict(place / "batch.safetensors")
    if any("/" in name for name in tensors):
        raise ConfigError(
            "a step of several batches cannot be met again here", fix="look at weights and batch yourself"
        )
    found: list[str] = []
    watch(module.model, found.append)
    module.train()
    torch.manual_seed(step["seed"])
    mixed = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(step["precision"])
    with torch.autocast("cpu", dtype=mixed or torch.bfloat16, enabled=mixed is not None):
        loss = module.training_step({"id": step["samples"], **tensors}, step["batch"])
    loss.backward()
    return found[0] if found else bad_gradient(module.model)


def main(argv: list[str]) -> int:
    """Print what is not finite; 1 if there is something."""
    parser = Arguments("python -m scirs_neural.runs.replay", description=__doc__)
    parser.add_argument("place", help="a kept step, such as RUN/nonfinite/step-12")
    parser.add_allow()
    args = parser.parse_args(argv)
    found = replay(args.place, allow=args.allow)
    print(f"not finite: {found}" if found else "every number is finite")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
