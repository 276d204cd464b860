"""Faulty networks: refused while being built, with the layer's path, what was expected and what came."""

import pytest

from scirs_neural.builder import build
from scirs_neural.builder.nodes import Block
from scirs_neural.builder.operations import OPERATIONS
from scirs_neural.builder.parse import MODIFIERS
from scirs_neural.builder.registry import COMPOSITIONS
from scirs_neural.core.errors import ConfigError, ShapeError, UnknownNameError
from scirs_neural.layers import LAYERS

DEEP = {"repeat": {"times": 4, "layers": [{"self_attention": {"num_heads": 3}, "as": "attn"}]}, "as": "blocks"}
THIRD = {"repeat": {"times": 2, "layers": [{"conv2d": [8, 3], "as": "conv"}]}, "as": "blocks"}

FAULTS = [
    # spec, error, what it must say
    (
        [{"conv2d": [8, 3]}, {"linear": {"in_features": 100, "out_features": 2}}],
        ShapeError,
        ["1: 'linear' expects in_features=100", "(N, 8, 6, 6)"],
    ),
    (
        [{"conv2d": {"in_channels": 1, "out_channels": 8, "kernel_size": 3}}],
        ShapeError,
        ["0: 'conv2d' expects in_channels=1", "(N, 3, 8, 8)", "it is 3 here"],
    ),
    ([THIRD, {"conv2d": [8, 9], "as": "last"}], ShapeError, ["last: 'conv2d' cannot take (N, 8, 4, 4)", " size"]),
    (["flatten", {"conv2d": [8, 3], "as": "late"}], ShapeError, ["late: 'conv2d' cannot take (N, 192)"]),
    ([{"linear": 10}, DEEP], ConfigError, ["blocks.0.attn"]),
    (
        [{"max_pool2d": 2}, {"max_pool2d": 2}, {"max_pool2d": 2}, {"max_pool2d": 2, "as": "pool"}],
        ShapeError,
        ["pool: 'max_pool2d' cannot take (N, 3, 1, 1)"],
    ),
    (
        [{"residual": {"layers": [{"conv2d": [3, 3]}], "projection": "none"}, "as": "res"}],
        ShapeError,
        ["res.add", "(N, 3, 6, 6) and (N, 3, 8, 8)"],
    ),
    (
        [{"parallel": [[{"conv2d": [4, 1]}], [{"conv2d": [4, 3]}]], "as": "mixed"}],
        ShapeError,
        ["mixed.concat", "(N, 4, 8, 8) and (N, 4, 6, 6)"],
    ),
    ([{"unflatten": {"dim": 1, "unflattened_size": [2, 2]}}], ShapeError, ["0: 'unflatten' cannot take (N, 3, 8, 8)"]),
    (
        ["flatten", {"reshape": {"shape": [5, 5]}, "as": "square"}],
        ShapeError,
        ["square: 'reshape' cannot take (N, 192)"],
    ),
    (["conv2dd"], UnknownNameError, ["unknown layer 'conv2dd'", "conv2d"]),
    ([{"residul": ["relu"]}], UnknownNameError, ["unknown layer 'residul'", "residual"]),
    (
        [{"conv2d": {"out_chanels": 4, "kernel_size": 3}}],
        ConfigError,
        ["0: layer 'conv2d' has no option 'out_chanels'", "out_channels"],
    ),
    ([{"conv2d": 4}], ConfigError, ["0: layer 'conv2d' needs 'kernel_size'"]),
    ([{"linear": "ten"}], ConfigError, ["0: layer 'linear' refuses its options"]),
    ([{"dropout": 3}], ConfigError, ["0:", "refuses its options", "between 0 and 1"]),
    ([{"conv2d": [4, 1], "relu": None}], ConfigError, ["must name one layer, this names conv2d, relu"]),
    ([{"as": "name"}], ConfigError, ["must name one layer, this names none"]),
    ([{"relu": None, "form": "x"}], ConfigError, ["must name one layer", "from"]),
    ([{"add": None, "with": "encoder"}], ConfigError, ["nothing before it is named 'encoder'"]),
    ([{"relu": None, "as": "a"}, {"relu": None, "as": "a"}], ConfigError, ["the name 'a' is used twice"]),
    ([{"relu": None, "as": "a", "from": "a"}], ConfigError, ["nothing before it is named 'a'"]),
    ([{"repeat": {"times": -1, "layers": ["relu"]}}], ConfigError, ["times is -1"]),
    ([{"repeat": ["relu"]}], ConfigError, ["composition 'repeat' needs 'times'"]),
    (
        [{"residual": {"layers": ["relu"], "projecton": "auto"}}],
        ConfigError,
        ["composition 'residual' has no option 'projecton'", "projection"],
    ),
    ([{"residual": None}], ConfigError, ["residual is empty"]),
    ([{"parallel": {"branches": [["relu"]], "merge": "sum"}}], ConfigError, ["merge is 'sum'"]),
    ([{"parallel": {"branches": []}}], ConfigError, ["branches is []"]),
    ([{"concat": {"dimension": 1}, "with": 1}], ConfigError, ["operation 'concat' has no option 'dimension'"]),
    ([{"mean": None}], ConfigError, ["operation 'mean' needs 'dim'"]),
    ([{"mean": {"dim": 1.5}}], ConfigError, ["dim is 1.5"]),
    ([{"transpose": {"dim0": 1, "dim1": 9}}], ShapeError, ["0: 'transpose' cannot take (N, 3, 8, 8)"]),
    ([{"sub": None}], ConfigError, ["'sub' takes 2 inputs, received 1"]),
    ([{"relu": None, "freeze": "yes"}], ConfigError, ["freeze is 'yes'"]),
    ([{"residual": ["relu"], "freeze": True}], ConfigError, ["'residual' has no parameters of its own"]),
    (
        [{"conv2d": [4, 3], "init": "kaming_normal"}],
        ConfigError,
        ["unknown initialisation 'kaming_normal'", "kaiming_normal"],
    ),
    ([{"conv2d": [4, 3], "init": {"kernel": "zeros"}}], ConfigError, ["0: init names the parameter 'kernel'"]),
    ([{"relu": None, "as": 3}], ConfigError, ["as is 3, expected a name"]),
    ([{"relu": None, "from": {}}], ConfigError, ["from holds {}"]),
    ([{"call": "stem"}], ConfigError, ["nothing before it is named 'stem'"]),
    ([{"residual": ["relu"], "as": "stem"}, {"call": "stem"}], ConfigError, ["is not a single layer"]),
    (
        [{"residual": ["relu"], "as": "stem"}, {"residual": ["relu"], "with": "stem"}],
        ConfigError,
        ["residual takes one input, received 2"],
    ),
    ([{"lstm": {"hidden_size": 4}, "as": "rnn"}], ShapeError, ["rnn: 'lstm' cannot take (N, 3, 8, 8)"]),
    ([7], ConfigError, ["7 is not a layer"]),
    ([{"linear": 10**12}], ConfigError, ["0: 'linear' refuses its options"]),
]


@pytest.mark.feature(52)
@pytest.mark.parametrize(("spec", "kind", "words"), FAULTS)
def test_faults(spec, kind, words):
    with pytest.raises(kind) as caught:
        build(spec, input_shape=(3, 8, 8), where="my_net.yaml")
    text = caught.value.render()
    missing = [word for word in words if word not in text]
    assert not missing, text
    assert "my_net.yaml, layers" in text, text
    assert len(text.splitlines()) <= 6


WORDS = {"embedding": [10, 4], "as": "words"}
DTYPES = [
    # dtype of the input, layers, what it must say
    ("int64", [{"linear": 4, "as": "head"}], "head: Linear expects float32, received int64"),
    ("int64", [{"repeat": {"times": 2, "layers": [{"batch_norm1d": None, "as": "bn"}]}, "as": "blocks"}],
     "blocks.0.bn: BatchNorm1d expects float32, received int64"),
    ("float64", [WORDS], "words: Embedding expects whole numbers, received float64"),
    ("float64", [{"reshape": {"shape": [1, 5]}}, {"conv1d": [4, 3], "as": "stem"}],
     "stem: Conv1d expects float32, received float64"),
    ("uint8", ["identity", {"layer_norm": None, "as": "norm"}], "norm: LayerNorm expects float32, received uint8"),
    ("int64", [{"reshape": {"shape": [5, 1]}}, {"self_attention": {"num_heads": 1}, "as": "attn"}],
     "attn: Linear expects"),
]  # fmt: skip


@pytest.mark.feature(52)
@pytest.mark.parametrize(("dtype", "layers", "words"), DTYPES)
def test_wrong_dtypes(dtype, layers, words):
    with pytest.raises((ConfigError, ShapeError)) as caught:
        build({"dtype": dtype, "layers": layers}, input_shape=(5,), where="my_net.yaml")
    assert words in caught.value.render(), caught.value.render()
    assert "my_net.yaml, layers" in caught.value.render()


def test_whole_numbers_where_they_belong():
    assert build({"dtype": "int64", "layers": [WORDS, {"linear": 3}]}, input_shape=(5,)).output_shape == (None, 5, 3)
    assert build({"dtype": "float16", "layers": [{"linear": 3}]}, input_shape=(5,)).output_shape == (None, 3)


def test_words_have_one_meaning():
    words = [*OPERATIONS, *COMPOSITIONS, *MODIFIERS, "call"]
    assert not set(words) & set(LAYERS)
    assert len(words) == len(set(words))


def test_an_unfinished_block_says_so():
    with pytest.raises(NotImplementedError):
        Block().apply(None, (), None)
