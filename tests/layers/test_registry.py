import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

import scirs_neural.layers as layers
from scirs_neural.core.errors import ConfigError, UnknownNameError
from scirs_neural.core.registry import REQUIRED
from scirs_neural.core.signatures import signature_options
from scirs_neural.layers import LAYERS, create_layer
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.capabilities import build_example, example_inputs, first_tensor
from scirs_neural.layers.examples import EXAMPLES
from scirs_neural.layers.torch_table import CLASS_OPTIONS, TORCH, TORCHVISION

# Public classes of torch.nn that are no layers: bases, containers, parameters, parallel wrappers.
NO_LAYERS = {
    "Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Container", "RNNBase",
    "RNNCellBase", "LinearCrossEntropyOptions", "NLLLoss2d",
}  # fmt: skip


def tensors_close(received, expected):
    torch.testing.assert_close(received, expected, rtol=0, atol=0)


def test_every_public_layer_of_torch_is_registered():
    targets = {target.partition(":")[2] for target, _, _ in TORCH.values()}
    public = {name for name in nn.modules.__all__ if not name.endswith("Loss")} - NO_LAYERS
    assert public == targets


def test_a_registered_torch_class_is_torchs_own():
    for name, (target, _, _) in TORCH.items():
        assert LAYERS.get(name) is getattr(nn, target.partition(":")[2])
    for name, (target, _, _) in TORCHVISION.items():
        assert LAYERS.get(name) is getattr(torchvision.ops, target.partition(":")[2])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_options_equal_the_signature(name):
    table = dict(LAYERS.options(name))
    if name in ("rnn", "lstm", "gru"):  # torch hides theirs behind *args
        real = signature_options(nn.RNNBase)
        del real["mode"]
        if name != "lstm":
            del real["proj_size"]
        if name == "rnn":
            real["nonlinearity"] = "tanh"
    else:
        real = signature_options(LAYERS.get(name))
    if name in ("softmax", "log_softmax", "softmin"):  # torch guesses a dim and warns; here it must be said
        assert real.pop("dim") is None
        assert table.pop("dim") is REQUIRED
    for option in CLASS_OPTIONS.get(name, ()):
        if isinstance(table[option], str):
            table[option] = LAYERS.get(table[option])
    if "activation" in real and callable(real["activation"]) and not isinstance(real["activation"], type):
        assert table.pop("activation") == real.pop("activation").__name__
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 15):
        assert table == real
    else:  # torch adds options as it grows
        assert set(real) <= set(table)


@pytest.mark.feature(1)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer_builds_runs_trains_and_is_saved(name):
    example = EXAMPLES[name]
    layer = build_example(name)
    inputs = example_inputs(example)
    for value in inputs:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            value.requires_grad_()
    output = first_tensor(layer(*inputs))
    assert " ".join(str(size) for size in output.shape) == example.output
    if name != "alibi":
        if name != "identity":
            output = output * torch.arange(output.numel()).view_as(output)
        output.sum().backward()
        leaves = [value for value in inputs if isinstance(value, torch.Tensor) and value.requires_grad]
        leaves += [parameter for parameter in layer.parameters() if parameter.requires_grad]
        assert leaves
        assert all(leaf.grad is not None and bool(leaf.grad.isfinite().all()) for leaf in leaves)

    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = build_example(name, seed=1)
    other.load_state_dict(torch.load(file, weights_only=True))
    inputs = tuple(value.detach() if isinstance(value, torch.Tensor) else value for value in inputs)
    results = []
    for module in (layer.eval(), other.eval()):
        torch.manual_seed(0)
        results.append(first_tensor(module(*inputs)).detach())
    tensors_close(*results)


def test_examples_cover_the_whole_table():
    assert set(EXAMPLES) == set(layers.SHIPPED)


def test_listing_needs_no_torch():
    code = (
        "import sys; from scirs_neural import layers; layers.LAYERS.names(); dict(layers.LAYERS.options('conv2d')); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.feature(1)
@pytest.mark.parametrize(
    ("typed", "meant"),
    [("conv2", "conv2d"), ("Linear", "linear"), ("max_pool_2d", "max_pool2d"), ("snakes", "snake"), ("geluu", "gelu")],
)
def test_unknown_name_gives_near_ones(typed, meant):
    with pytest.raises(UnknownNameError) as caught:
        create_layer(typed)
    assert meant in caught.value.suggestions


def test_wrong_options_are_named():
    with pytest.raises(ConfigError, match="layer 'conv2d' needs 'kernel_size'"):
        create_layer("conv2d", 3, 8)
    with pytest.raises(ConfigError, match="layer 'softmax' needs 'dim'"):
        create_layer("softmax")
    with pytest.raises(ConfigError) as caught:
        create_layer("lstm", input_size=3, hidden_sizes=4)
    assert caught.value.suggestions == ("hidden_size",)
    with pytest.raises(ConfigError, match="layer 'conv2d' refuses its options"):
        create_layer("conv2d", 3, 8, kernel_size=3, groups=2)
    with pytest.raises(ConfigError, match="layer 'identity' has no option 'x'"):
        create_layer("identity", x=1)


def test_specs_nest():
    layer = create_layer("bidirectional", layer={"name": "gru", "input_size": 3, "hidden_size": 4, "batch_first": True})
    assert isinstance(layer.forward_layer, nn.GRU)
    mlp = create_layer("mlp", in_channels=3, hidden_channels=[4, 2], activation_layer="silu")
    assert any(isinstance(module, nn.SiLU) for module in mlp.modules())
    block = create_layer(
        "transformer_encoder_block", embed_dim=4, num_heads=1, activation={"name": "leaky_relu", "negative_slope": 0.3}
    )
    assert block.feed_forward.activation.negative_slope == 0.3
    with pytest.raises(ConfigError, match="is not a layer"):
        layers.build_layer(3)


def test_a_users_layer_takes_what_its_signature_takes():
    registry_name = "test_registry_open_layer"

    @LAYERS.register(registry_name)
    class Open(nn.Module):
        def __init__(self, width, **rest):
            super().__init__()
            self.rest = rest

    try:
        assert create_layer(registry_name, width=1, depth=2).rest == {"depth": 2}
        with pytest.raises(ConfigError, match="needs 'width'"):
            create_layer(registry_name, depth=2)
    finally:
        del LAYERS._entries[registry_name]


def test_public_names_are_not_hidden_by_files():
    for name in layers.__all__:
        assert not (Path(layers.__file__).parent / f"{name}.py").exists()
        assert getattr(layers, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        layers.no_such_name  # noqa: B018


def test_every_own_layer_explains_itself():
    for name in BUILTIN:
        target = LAYERS.get(name)
        doc = (getattr(target, "func", target)).__doc__ or ""
        assert "Shape:" in doc or "Shape:" in (target.__mro__[1].__doc__ or ""), name
