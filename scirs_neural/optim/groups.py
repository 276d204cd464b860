"""Parameter groups: which parameters learn at which rate, and which decay.

Every parameter lands in exactly one group. Groups differ in their stage (how deep in the network), and in whether
weight decay applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from scirs_neural.optim.weight_decay import no_decay_names


@dataclass(frozen=True)
class ParameterGroup:
    """One group as it is handed to the optimizer and shown to the user.

    Args:
        name: such as "head" or "stage 3, no decay".
        parameters: names of parameters.
        lr: peak learning rate.
        weight_decay: 0 for norms and biases.
    """

    name: str
    parameters: tuple[str, ...]
    lr: float
    weight_decay: float


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    decay_norm_and_bias: bool = False,
    backbone_lr_ratio: float = 1.0,
    layer_decay: float = 1.0,
) -> list[ParameterGroup]:
    """Sort a network's parameters into groups.

    Args:
        model: whose every parameter, frozen or not, gets a group.
        lr: peak learning rate of the head.
        weight_decay: of parameters with two dimensions or more.
        decay_norm_and_bias: weight decay for one-dimensional parameters too.
        backbone_lr_ratio: learning rate of what is below the head, over the head's.
        layer_decay: learning-rate factor from each stage to the one below it (Howard and Ruder 2018; Clark 2020).

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
        >>> for g in parameter_groups(net, lr=0.1, weight_decay=0.01):
        ...     print(g.name, g.parameters, g.weight_decay)
        decay ('0.weight', '2.weight') 0.01
        no decay ('0.bias', '1.weight', '1.bias', '2.bias') 0.0
    """
    spared = no_decay_names(model)
    is_flat = backbone_lr_ratio == layer_decay == 1.0
    staged = stages(model)
    rows: dict[tuple[str, float, float], list[str]] = {}
    for depth, names in enumerate(staged):
        above = len(staged) - 1 - depth  # how many stages lie between this one and the output
        rate = lr if above == 0 else lr * backbone_lr_ratio * layer_decay ** (above - 1)
        place = "" if is_flat else "head" if above == 0 else f"stage {depth + 1}" if layer_decay != 1.0 else "body"
        for name in names:
            decays = decay_norm_and_bias or name not in spared
            label = ", ".join(filter(None, [place, "" if decays else "no decay"])) or "decay"
            rows.setdefault((label, rate, weight_decay if decays else 0.0), []).append(name)
    return [ParameterGroup(label, tuple(names), rate, decay) for (label, rate, decay), names in rows.items()]


def stages(model: nn.Module) -> list[list[str]]:
    """The parameter names of a network's stages, from the input to the output; the last is the head.

    A stage is a child of the network. A plain sequence of several parts is taken apart into those, and so is a child
    that holds such a sequence (a transformer's encoder). Blocks, which are classes of their own, stay whole.

    Example:
        >>> from torchvision.models import resnet18
        >>> [names[0].split(".")[0] for names in stages(resnet18())]
        ['conv1', 'bn1', 'layer1', 'layer1', 'layer2', 'layer2', 'layer3', 'layer3', 'layer4', 'layer4', 'fc']
    """
    once = {id(p): name for name, p in reversed(list(model.named_parameters(remove_duplicate=False)))}
    first_names = set(once.values())  # a shared parameter belongs to the first stage that has it
    found = [[name for name in stage if name in first_names] for stage in _split(model, "", depth=0)]
    return [stage for stage in found if stage]


def _split(module: nn.Module, prefix: str, depth: int) -> Iterator[list[str]]:
    if not _comes_apart(module, depth):
        yield [prefix + name for name, _ in module.named_parameters(remove_duplicate=False)]
        return
    yield [prefix + name for name, _ in module.named_parameters(recurse=False)]
    for name, child in module.named_children():
        yield from _split(child, f"{prefix}{name}.", depth + 1)


def _comes_apart(module: nn.Module, depth: int) -> bool:
    if depth == 0:
        return True
    if _is_plain_sequence(module):
        return True
    return depth == 1 and any(_is_plain_sequence(child) for child in module.children())


def _is_plain_sequence(module: nn.Module) -> bool:
    if type(module) not in (nn.Sequential, nn.ModuleList):
        return False
    return any(True for _ in module.parameters())
