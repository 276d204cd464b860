"""Parameter groups of torchvision's networks: every parameter in one, norms and biases without decay, the head last."""

# ruff: noqa: E501 - a table of places
from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from torch import nn

from scirs_neural.config.schema import ParameterRule
from scirs_neural.core.errors import ConfigError
from scirs_neural.optim import parameter_groups
from scirs_neural.optim.groups import freeze, group_table, stages

HEADS = {
    "resnet18": "fc", "mobilenet_v2": "classifier", "vit_b_16": "heads", "convnext_tiny": "classifier",
    "densenet121": "classifier", "swin_t": "head", "efficientnet_b0": "classifier", "vgg11_bn": "classifier",
    "alexnet": "classifier", "shufflenet_v2_x0_5": "fc", "mnasnet0_5": "classifier",
    "squeezenet1_0": "classifier", "maxvit_t": "classifier",
}  # fmt: skip
NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
_built: dict[str, nn.Module] = {}


def net(name: str) -> nn.Module:
    if name not in _built:
        with torch.device("meta"):
            _built[name] = getattr(torchvision.models, name)()
    return _built[name]


def of_norms_and_biases(model: nn.Module) -> set[str]:
    """From the modules' types, not from shapes."""
    norms = {
        f"{m}.{p}" for m, part in model.named_modules() if isinstance(part, NORMS) for p, _ in part.named_parameters()
    }
    return norms | {name for name, _ in model.named_parameters() if name.endswith("bias")}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    "options", [{}, {"backbone_lr_ratio": 0.1}, {"backbone_lr_ratio": 0.5, "layer_decay": 0.8}], ids=str
)
def test_every_parameter_is_in_one_group(name, options):
    model = net(name)
    groups = parameter_groups(model, lr=0.1, weight_decay=0.01, **options)
    held = [parameter for group in groups for parameter in group.parameters]
    assert sorted(held) == sorted(dict(model.named_parameters()))
    assert len({group.name for group in groups}) == len(groups)
    assert all(group.parameters for group in groups)
    assert groups[-1].parameters[-1].startswith(HEADS[name])
    if options:
        assert groups[-1].name.startswith("head")
        assert groups[-1].lr == 0.1


@pytest.mark.parametrize("name", [name for name in HEADS if name not in ("convnext_tiny", "swin_t", "maxvit_t")])
def test_norms_and_biases_and_nothing_else_have_no_decay(name):
    model = net(name)
    groups = {group.name: group for group in parameter_groups(model, lr=0.1, weight_decay=0.01)}
    assert set(groups) <= {"decay", "no decay"}
    assert set(groups["no decay"].parameters) == of_norms_and_biases(model)
    assert (groups["decay"].weight_decay, groups["no decay"].weight_decay) == (0.01, 0.0)
    (all_alike,) = parameter_groups(model, lr=0.1, weight_decay=0.01, decay_norm_and_bias=True)
    assert (all_alike.weight_decay, len(all_alike.parameters)) == (0.01, len(dict(model.named_parameters())))


@pytest.mark.parametrize("name", HEADS)
def test_rates_fall_from_the_head_to_the_input(name):
    model = net(name)
    groups = parameter_groups(model, lr=1.0, weight_decay=0.0, backbone_lr_ratio=0.5, layer_decay=0.9)
    rate = {parameter: group.lr for group in groups for parameter in group.parameters}
    staged = stages(model)
    for depth, names in enumerate(reversed(staged)):
        expected = 1.0 if depth == 0 else 0.5 * 0.9 ** (depth - 1)
        assert [rate[parameter] for parameter in names] == pytest.approx([expected] * len(names))


def test_the_body_learns_at_a_share_of_the_head_s_rate():
    groups = parameter_groups(net("resnet18"), lr=0.2, weight_decay=0.01, backbone_lr_ratio=0.1)
    assert {(group.name, round(group.lr, 9)) for group in groups} == {
        ("body", 0.02), ("body, no decay", 0.02), ("head", 0.2), ("head, no decay", 0.2),
    }  # fmt: skip


STAGES = {
    "resnet18": "conv1 bn1 layer1.0 layer1.1 layer2.0 layer2.1 layer3.0 layer3.1 layer4.0 layer4.1 fc",
    "mobilenet_v2": " ".join(f"features.{i}" for i in range(19)) + " classifier.1",
    "vit_b_16": "class_token conv_proj encoder.pos_embedding "
    + " ".join(f"encoder.layers.encoder_layer_{i}" for i in range(12)) + " encoder.ln heads.head",
    "convnext_tiny": "features.0 features.1.0 features.1.1 features.1.2 features.2.0 features.2.1 features.3.0 features.3.1 features.3.2 "
    "features.4.0 features.4.1 " + " ".join(f"features.5.{i}" for i in range(9))
    + " features.6.0 features.6.1 features.7.0 features.7.1 features.7.2 classifier.0 classifier.2",
    "densenet121": "features.conv0 features.norm0 features.denseblock1 features.transition1 features.denseblock2 "
    "features.transition2 features.denseblock3 features.transition3 features.denseblock4 features.norm5 classifier",
    "swin_t": "features.0.0 features.0.2 features.1.0 features.1.1 features.2 features.3.0 features.3.1 features.4 "
    + " ".join(f"features.5.{i}" for i in range(6)) + " features.6 features.7.0 features.7.1 norm head",
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_stages_go_from_the_input_to_the_head(name):
    places = STAGES[name].split()
    staged = stages(net(name))
    assert len(staged) == len(places)
    for names, place in zip(staged, places, strict=True):
        assert all(parameter == place or parameter.startswith(place + ".") for parameter in names), (place, names[:3])


def test_a_shared_parameter_counts_once_with_the_stage_nearest_to_the_input():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 3)
            self.body = nn.Linear(3, 3)
            self.out = nn.Linear(3, 5)
            self.out.weight = self.embed.weight

    assert stages(Tied()) == [["embed.weight"], ["body.weight", "body.bias"], ["out.bias"]]
    groups = parameter_groups(Tied(), lr=0.1, weight_decay=0.01, layer_decay=0.5)
    assert sorted(p for group in groups for p in group.parameters) == sorted(dict(Tied().named_parameters()))


def rule(**settings):
    return ParameterRule(**settings)


@pytest.mark.feature(95)
@pytest.mark.parametrize("name", HEADS)
def test_rules_by_regex_and_type_put_every_parameter_into_one_group(name):
    model = net(name)
    rules = [rule(name="top", match=rf"^{HEADS[name]}", lr=0.5), rule(name="rest", lr_ratio=0.1)]
    groups = parameter_groups(model, lr=0.1, weight_decay=0.01, rules=rules)
    held = [parameter for group in groups for parameter in group.parameters]
    assert sorted(held) == sorted(dict(model.named_parameters()))
    rates = {parameter: group.lr for group in groups for parameter in group.parameters}
    for parameter, rate in rates.items():
        assert rate == pytest.approx(0.5 if parameter.startswith(HEADS[name]) else 0.01)
    spared = of_norms_and_biases(model)
    assert all(group.weight_decay == 0 for group in groups if set(group.parameters) & spared)


@pytest.mark.feature(95)
def test_rules_by_type_frozen_parts_and_layer_wise_decay_together():
    model = copy.deepcopy(net("vit_b_16"))
    rules = [
        rule(type="LayerNorm", lr_ratio=2.0),
        rule(name="image", match="^conv_proj", frozen=True),
        rule(name="rest"),
    ]
    groups = parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5, rules=rules)
    plain = parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    before = {parameter: group for group in plain for parameter in group.parameters}
    norms = {
        f"{path}.{p}"
        for path, part in model.named_modules()
        if isinstance(part, nn.LayerNorm)
        for p in ("weight", "bias")
    }
    seen = set()
    for group in groups:
        for parameter in group.parameters:
            seen.add(parameter)
            if parameter.startswith("conv_proj"):
                assert (group.frozen, group.lr) == (True, 0.0)
            else:
                assert group.lr == before[parameter].lr * (2.0 if parameter in norms else 1.0)
                assert group.weight_decay == before[parameter].weight_decay
    assert seen == set(before)
    assert freeze(model, groups) == {"conv_proj.weight", "conv_proj.bias"}
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["conv_proj.weight", "conv_proj.bias"]


@pytest.mark.feature(95)
@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"match": "^fc"}], "the parameter 'conv1.weight' falls under no rule"),
        (
            [{"match": "^conv1"}, {"type": "Conv2d"}, {}],
            "the parameter 'conv1.weight' falls under '\\^conv1' and 'Conv2d'",
        ),
        ([{}, {"frozen": True}], "falls under 'rule 1' and 'rule 2'"),
        ([{"match": "^head"}, {}], "the rule '\\^head' is of no parameter"),
    ],
)
def test_a_parameter_of_no_rule_or_of_two_is_named(rules, message):
    with pytest.raises(ConfigError, match=message):
        parameter_groups(net("resnet18"), lr=0.1, weight_decay=0.0, rules=[rule(**held) for held in rules])


def test_the_table_adds_up_to_the_whole_network():
    model = net("resnet18")
    rules = [rule(name="stem", match="^(conv1|bn1)", frozen=True), rule(name="rest")]
    lines = group_table(model, parameter_groups(model, lr=0.1, weight_decay=0.01, rules=rules))
    assert len({len(line) for line in lines}) == 1
    sizes = [int(line.split()[-3].replace(",", "")) for line in lines[1:]]
    assert sum(sizes) == sum(p.numel() for p in model.parameters())
    assert lines[1].startswith("stem, frozen")
