"""Parameter groups: which parameters learn at which rate, and which decay.

Every parameter lands in exactly one group. Groups differ in their stage (how deep in the network), in the rule of the
user's that they fall under, and in whether weight decay applies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from scirs_neural.config.schema import ParameterRule
from scirs_neural.core.errors import ConfigError
from scirs_neural.optim.weight_decay import no_decay_names

NO_RULE = ParameterRule()


@dataclass(frozen=True)
class ParameterGroup:
    """One group as it is handed to the optimizer and shown to the user.

    Args:
        name: such as "head" or "stage 3, no decay".
        parameters: names of parameters.
        lr: peak learning rate.
        weight_decay: 0 for norms and biases.
        frozen: it does not learn, and the optimizer never sees it.
    """

    name: str
    parameters: tuple[str, ...]
    lr: float
    weight_decay: float
    frozen: bool = False


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    decay_norm_and_bias: bool = False,
    backbone_lr_ratio: float = 1.0,
    layer_decay: float = 1.0,
    rules: Sequence[ParameterRule] = (),
) -> list[ParameterGroup]:
    """Sort a network's parameters into groups.

    Args:
        model: whose every parameter, frozen or not, gets a group.
        lr: peak learning rate of the head.
        weight_decay: of parameters with two dimensions or more.
        decay_norm_and_bias: weight decay for one-dimensional parameters too.
        backbone_lr_ratio: learning rate of what is below the head, over the head's.
        layer_decay: learning-rate factor from each stage to the one below it (Howard and Ruder 2018; Clark 2020).
        rules: of the user's. With any, each parameter must fall under exactly one of them.

    Raises:
        ConfigError: a parameter falls under no rule, or under two; or a rule is of no parameter.

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
    ruled = assign_rules(model, rules) if rules else {}
    rows: dict[tuple[str, float, float, bool], list[str]] = {}
    for depth, names in enumerate(staged):
        above = len(staged) - 1 - depth  # how many stages lie between this one and the output
        staged_lr = lr if above == 0 else lr * backbone_lr_ratio * layer_decay ** (above - 1)
        place = "" if is_flat else "head" if above == 0 else f"stage {depth + 1}" if layer_decay != 1.0 else "body"
        for name in names:
            number, rule = ruled.get(name, (0, NO_RULE))
            if rule.frozen:
                rows.setdefault((f"{label_of(rule, number)}, frozen", 0.0, 0.0, True), []).append(name)
                continue
            rate = (staged_lr if rule.lr is None else rule.lr) * rule.lr_ratio
            decay = weight_decay if rule.weight_decay is None else rule.weight_decay
            decays = decay_norm_and_bias or name not in spared
            parts = [place, label_of(rule, number) if rules else "", "" if decays else "no decay"]
            label = ", ".join(filter(None, parts)) or "decay"
            rows.setdefault((label, rate, decay if decays else 0.0, False), []).append(name)
    return [
        ParameterGroup(label, tuple(names), rate, decay, frozen) for (label, rate, decay, frozen), names in rows.items()
    ]


def assign_rules(model: nn.Module, rules: Sequence[ParameterRule]) -> Mapping[str, tuple[int, ParameterRule]]:
    """The rule of each parameter, with its number.

    Raises:
        ConfigError: a parameter falls under no rule, or under two; or a rule is of no parameter.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> found = assign_rules(net, [ParameterRule(match="^1[.]"), ParameterRule(name="body", frozen=True)])
        >>> {name: label_of(rule, number) for name, (number, rule) in found.items()}
        {'0.weight': 'body', '0.bias': 'body', '1.weight': '^1[.]', '1.bias': '^1[.]'}
    """
    numbered = list(enumerate(rules))
    rest = [(number, rule) for number, rule in numbered if is_rest(rule)]
    rule_of: dict[str, tuple[int, ParameterRule]] = {}
    for name, _ in model.named_parameters():
        holder = model.get_submodule(name.rpartition(".")[0])
        hits = [(n, rule) for n, rule in numbered if not is_rest(rule) and covers(rule, name, holder)] or rest
        if len(hits) != 1:
            labels = " and ".join(f"'{label_of(rule, number)}'" for number, rule in hits)
            raise ConfigError(
                f"the parameter '{name}' falls under {labels or 'no rule'}",
                where="optimizer.groups",
                fix="let the rules exclude each other" if hits else "add a rule without match and type, for the rest",
            )
        rule_of[name] = hits[0]
    idle = [label_of(rule, number) for number, rule in numbered if number not in {n for n, _ in rule_of.values()}]
    if idle:
        raise ConfigError(f"the rule '{idle[0]}' is of no parameter of this network", where="optimizer.groups")
    return rule_of


def label_of(rule: ParameterRule, number: int) -> str:
    """What a rule is called in the table and in errors."""
    return rule.name or rule.match or rule.type or f"rule {number + 1}"


def covers(rule: ParameterRule, parameter: str, holder: nn.Module) -> bool:
    """Whether a parameter, held by a module, meets a rule's conditions."""
    if rule.match is not None and re.search(rule.match, parameter) is None:
        return False
    return rule.type is None or any(kind.__name__ == rule.type for kind in type(holder).__mro__)


def is_rest(rule: ParameterRule) -> bool:
    """Whether a rule is for what the others leave."""
    return rule.match is None and rule.type is None


def freeze(model: nn.Module, groups: Sequence[ParameterGroup]) -> set[str]:
    """Stop the parameters of frozen groups from learning; gives their names."""
    names = {name for group in groups if group.frozen for name in group.parameters}
    for name, parameter in model.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
    return names


def group_table(model: nn.Module, groups: Sequence[ParameterGroup]) -> list[str]:
    """The groups as aligned lines: name, tensors, parameters, learning rate, weight decay.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        >>> print(*group_table(net, parameter_groups(net, lr=0.1, weight_decay=0.01)), sep=chr(10))
        group     tensors  parameters       lr  weight decay
        decay           1          12  1.0e-01          0.01
        no decay        3           9  1.0e-01             0
    """
    rows = [("group", "tensors", "parameters", "lr", "weight decay")]
    for group in groups:
        size = sum(model.get_parameter(name).numel() for name in group.parameters)
        rate, decay = ("-", "-") if group.frozen else (f"{group.lr:.1e}", f"{group.weight_decay:g}")
        rows.append((group.name, str(len(group.parameters)), f"{size:,}", rate, decay))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


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
    rule_of = [[name for name in stage if name in first_names] for stage in _split(model, "", depth=0)]
    return [stage for stage in rule_of if stage]


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
