"""Specs, files of users, weighted sums, and what goes wrong with them."""

import pytest
import torch
import yaml
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError, UnknownNameError
from scirs_neural.losses import LOSSES, CompositeLoss, create_loss
from scirs_neural.losses.composite import Term

USER_FILE = """
import torch
from torch import nn

class TverskyLoss(nn.Module):
    def __init__(self, alpha=0.3):
        super().__init__()
        self.alpha = alpha

    def forward(self, input, target):
        p = input.softmax(1)[:, 1]
        t = (target == 1).float()
        tp = (p * t).sum()
        return 1 - (tp + 1) / (tp + self.alpha * (p * (1 - t)).sum() + (1 - self.alpha) * ((1 - p) * t).sum() + 1)

def entropy(input, target, scale=1.0):
    return -(input.softmax(1) * input.log_softmax(1)).sum(1).mean() * scale

class Plain:
    def __call__(self, input, target):
        return input.sum()

class NoCall:
    pass
"""


@pytest.fixture(scope="module")
def user_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "my.py"
    path.write_text(USER_FILE)
    return str(path)


@pytest.mark.feature(51)
def test_weighted_sum_from_yaml_with_a_users_file(user_file):
    text = f"""
    loss:
      - {{name: cross_entropy, weight: 1.0, label_smoothing: 0.1}}
      - {{name: "{user_file}:TverskyLoss", weight: 0.5, alpha: 0.7}}
      - {{name: "{user_file}:entropy", weight: -0.1, as: entropy_bonus, scale: 2.0}}
      - dice
    """
    loss = create_loss(yaml.safe_load(text)["loss"])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, generator=generator, requires_grad=True)
    target = torch.tensor([0, 1, 2, 1, 0, 2])
    total = loss(logits, target)
    assert list(loss.terms) == ["cross_entropy", "tversky", "entropy_bonus", "dice"]
    assert sum(loss.terms.values()) == total  # exactly
    assert not any(term.requires_grad for term in loss.terms.values())
    assert torch.equal(loss.terms["cross_entropy"], nn.CrossEntropyLoss(label_smoothing=0.1)(logits, target).detach())
    total.backward()
    parts = torch.autograd.grad(0.5 * create_loss(f"{user_file}:TverskyLoss", alpha=0.7)(logits, target), logits)
    assert logits.grad.abs().sum() > 0
    assert parts[0].shape == logits.grad.shape


@pytest.mark.feature(51)
def test_a_registered_function_is_a_loss():
    registry_name = "test_only_absolute"

    @LOSSES.register(registry_name)
    def absolute(input, target, power=1):
        """Absolute differences."""
        return (input - target).abs().pow(power).mean()

    try:
        loss = create_loss({"name": registry_name, "power": 2})
        x, y = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0])
        assert loss(x, y) == nn.MSELoss()(x, y)
        assert "absolute, power=2" in repr(loss)
    finally:
        del LOSSES._entries[registry_name]


def test_users_plain_callable(user_file):
    assert create_loss(f"{user_file}:Plain")(torch.ones(3), None) == 3


def test_same_loss_twice_gets_two_names():
    assert list(create_loss(["mse", "mse", {"name": "mse"}]).weights) == ["mse", "mse_2", "mse_3"]


def test_state_dict_and_repr_of_a_sum():
    loss = create_loss([{"name": "cross_entropy", "options": {"weight": [1, 2]}}, "focal"])
    assert list(loss.state_dict()) == ["losses.0.weight"]
    assert "1*cross_entropy + 1*focal" in repr(loss)


def test_a_sum_compiles_whole():
    loss = create_loss([{"name": "cross_entropy"}, {"name": "dice", "weight": 0.5}])
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    expected = loss(logits, target)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    assert compiled(logits, target) == expected
    assert sum(loss.terms.values()) == expected


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("cros_entropy", {}, "unknown loss 'cros_entropy'"),
        ("mse", {"redcution": "sum"}, "no option 'redcution'"),
        ("mse", {"reduction": "avg"}, "unknown reduction 'avg'"),
        ("rmse", {"reduction": "mean"}, "no option 'reduction'"),
        ({"gamma": 2}, {}, "a loss without a name"),
        ([], {}, "no loss can be made of []"),
        (7, {}, "no loss can be made of 7"),
        ([7], {}, "no loss can be made of 7"),
        (["mse"], {"reduction": "sum"}, "beside a list of losses"),
        ([{"name": "cross_entropy", "weight": [1, 2]}], {}, "the weight of term 'cross_entropy' is [1, 2]"),
        ([{"name": "mse", "weight": True}], {}, "the weight of term 'mse' is True"),
        ("./nowhere.py:Loss", {}, "no such file"),
        ("triplet", {"mining": "semihard"}, "unknown mining"),
        ("triplet", {"distance": "euclid"}, "unknown distance"),
        ("dice", {"mode": "softmx"}, "unknown mode"),
        ("lovasz", {"mode": "linear"}, "unknown mode"),
        ("lovasz", {"classes": "some"}, "unknown classes"),
        ("kl_temperature", {"temperature": 0}, "the temperature must be above 0"),
        ("nt_xent", {"temperature": -1}, "the temperature must be above 0"),
        ("weighted", {"loss": "rmse"}, "cannot be weighted"),
    ],
)
def test_faulty_specs(spec, options, message):
    with pytest.raises(ConfigError) as caught:
        create_loss(spec, where="task.loss", **options)
    assert message in str(caught.value)


def test_faulty_files(user_file):
    with pytest.raises(UnknownNameError, match="TverskyLoss"):
        create_loss(f"{user_file}:TverskyLos")
    with pytest.raises(ConfigError, match="cannot be called"):
        create_loss(f"{user_file}:NoCall")


def test_sum_errors():
    with pytest.raises(ShapeError, match="loss term 'mse' has shape"):
        create_loss([{"name": "mse", "reduction": "none"}])(torch.ones(2), torch.ones(2))
    with pytest.raises(ConfigError, match="different names"):
        CompositeLoss([Term("a", nn.MSELoss()), Term("a", nn.MSELoss())])
