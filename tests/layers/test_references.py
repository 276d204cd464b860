"""Every layer written here equals its formula, written in other words: value and gradient, in float64 and float32.

Batches of 1, odd sizes and empty batches are in the grid. What torch has is torch's own class (test_registry).
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.layers import EncoderDecoder, create_layer
from scirs_neural.layers.builtin_layers import BUILTIN
from scirs_neural.layers.capabilities import first_tensor
from scirs_neural.layers.examples import EXAMPLES
from tests.layers.from_torch import copy_decoder_block, copy_encoder_block

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
GRID = {
    1: [(1, 4, 9), (3, 4, 6), (0, 4, 5), (2, 4, 1)],
    2: [(1, 4, 9, 7), (2, 4, 6, 3), (0, 4, 5, 5)],
    3: [(1, 4, 5, 6, 7), (2, 4, 3, 4, 2)],
}
MAPS = [(1, 4, 9, 7), (3, 4, 11), (2, 4, 3, 5, 2), (2, 4, 1, 1)]
ROWS = [(1, 6), (5, 6), (2, 3, 6), (0, 6)]
TOKENS = [(1, 1, 8), (3, 7, 8), (2, 5, 8)]


def padded(x, kernel, stride, value=0.0):
    """ceil(size / stride) windows: what is missing at the end of the last one, the smaller half of it in front."""
    pads = []
    for size in x.shape[2:]:
        windows = math.ceil(size / stride)
        missing = max(0, (windows - 1) * stride + kernel - size)
        pads = [missing // 2, math.ceil(missing / 2), *pads]
    return F.pad(x, pads, value=value)


def windows(x, kernel, stride, value):
    """(N, C, *places, everything in the window of each place)."""
    dims = x.dim() - 2
    x = padded(x, kernel, stride, value)
    for dim in range(2, 2 + dims):
        x = x.unfold(dim, kernel, stride)
    return x.flatten(2 + dims)


def same_conv(layer, x):
    return CONV[x.dim() - 2](padded(x, 4, 2), layer.weight, layer.bias, 2)


def depthwise(conv, x, kernel, multiplier):
    """Each channel by itself."""
    parts = []
    for c in range(x.shape[1]):
        own = slice(c * multiplier, (c + 1) * multiplier)
        bias = None if conv.bias is None else conv.bias[own]
        parts.append(CONV[x.dim() - 2](padded(x[:, c : c + 1], kernel, 1), conv.weight[own], bias))
    return torch.cat(parts, 1)


def separable(layer, x):
    hidden = depthwise(layer.depthwise, x, 3, 1).clamp(min=0)
    point = layer.pointwise
    mixed = torch.einsum("oc,nc...->no...", point.weight.flatten(1), hidden)
    return mixed + point.bias.view(-1, *[1] * (x.dim() - 2))


def average(layer, x):
    return windows(x, 2, 2, 0.0).sum(-1) / windows(torch.ones_like(x), 2, 2, 0.0).sum(-1)


def attention_pool(layer, x):
    places = x.flatten(2)
    scores = torch.einsum("hc,ncp->nhp", layer.score.weight, places) + layer.score.bias[:, None]
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("nhp,nhcp->nhc", weights, places.unflatten(1, (2, -1))).flatten(1)


def peephole(cell, x, h, c):
    """Gers, Schraudolph and Schmidhuber (2002), section 3."""
    size = cell.hidden_size
    pre = x @ cell.input.weight.T + cell.input.bias + h @ cell.hidden.weight.T
    i, f, g, o = (pre[:, k * size : (k + 1) * size] for k in range(4))
    w_i, w_f, w_o = cell.peephole
    new = torch.sigmoid(f + w_f * c) * c + torch.sigmoid(i + w_i * c) * torch.tanh(g)
    return torch.sigmoid(o + w_o * new) * torch.tanh(new), new


def unrolled(cells, x):
    for cell in cells:
        h = c = x.new_zeros(x.shape[0], cell.hidden_size)
        outputs = []
        for t in range(x.shape[1]):
            h, c = peephole(cell, x[:, t], h, c)
            outputs.append(h)
        x = torch.stack(outputs, 1)
    return x


def both_ways(layer, x):
    ahead, back = layer.forward_layer, layer.backward_layer
    return torch.cat([unrolled(ahead.cells, x), unrolled(back.cells, x.flip(1)).flip(1)], -1)


def norm(layer, x, dim=-1):
    mean = x.mean(dim, keepdim=True)
    scaled = (x - mean) / ((x - mean) ** 2).mean(dim, keepdim=True).add(layer.eps).sqrt()
    shape = [-1 if d == dim % x.dim() else 1 for d in range(x.dim())]
    return scaled * layer.weight.view(shape) + layer.bias.view(shape)


def turned(x, start=0):
    """Rotary positions as complex numbers: feature i and i + D/2 are a plane."""
    half = x.shape[-1] // 2
    rates = torch.tensor([10_000.0 ** (-i / half) for i in range(half)], dtype=torch.float64)
    angles = torch.outer(torch.arange(start, start + x.shape[-2], dtype=torch.float64), rates)
    plane = torch.complex(x[..., :half].double(), x[..., half:].double()) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([plane.real, plane.imag], -1).to(x.dtype)


def attend(layer, query, key=None, value=None, causal=False, rotary=False):
    """softmax(Q K^T / sqrt(d)) V, head by head."""
    key = query if key is None else key
    value = key if value is None else value
    heads = []
    d = layer.head_dim
    groups = layer.q_proj.out_features // layer.k_proj.out_features
    q, k, v = layer.q_proj(query), layer.k_proj(key), layer.v_proj(value)
    for h in range(layer.q_proj.out_features // d):
        g = h // groups
        q_h, k_h, v_h = q[..., h * d : (h + 1) * d], k[..., g * d : (g + 1) * d], v[..., g * d : (g + 1) * d]
        if rotary:
            q_h, k_h = turned(q_h), turned(k_h)
        scores = q_h @ k_h.mT / math.sqrt(d)
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ v_h)
    return layer.out_proj(torch.cat(heads, -1))


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def feed(layer, x):
    return layer.down(gelu(layer.up(x)))


def encoder_block(block, x):
    x = x + attend(block.attention, norm(block.attention_residual.norm, x))
    return x + feed(block.feed_forward, norm(block.feed_forward_residual.norm, x))


def decoder_block(block, x, memory):
    x = x + attend(block.attention, norm(block.attention_residual.norm, x), causal=True)
    x = x + attend(block.cross_attention, norm(block.cross_residual.norm, x), memory)
    return x + feed(block.feed_forward, norm(block.feed_forward_residual.norm, x))


def swiglu_feed(layer, x):
    value, gate = layer.up(x).chunk(2, -1)
    return layer.down(value * gate * torch.sigmoid(gate))


def pau(layer, x):
    above = sum(a * x**i for i, a in enumerate(layer.numerator))
    return above / (1 + sum((b * x**i).abs() for i, b in enumerate(layer.denominator, start=1)))


def patches(layer, x):
    x = F.pad(x, (0, -x.shape[3] % 2, 0, -x.shape[2] % 3))
    columns = F.unfold(x, (3, 2), stride=(3, 2)).mT
    return columns @ layer.projection.weight.flatten(1).T + layer.projection.bias


def sinusoids(layer, x):
    table = torch.empty(x.shape[1], 8, dtype=torch.float64)
    for t in range(x.shape[1]):
        for i in range(8):
            angle = t / 10_000 ** (2 * (i // 2) / 8)
            table[t, i] = math.sin(angle) if i % 2 == 0 else math.cos(angle)
    return x + table.float().to(x.dtype)  # the table is kept in float32


def softened(layer, x):
    scaled = (x / layer.log_temperature.exp()).exp()
    return scaled / scaled.sum(-1, keepdim=True)


def slopes(layer, queries, keys):
    bias = torch.empty(1, 6, queries, keys)
    for h, slope in enumerate([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]):
        for t in range(queries):
            for s in range(keys):
                bias[0, h, t, s] = -slope * abs(t + keys - queries - s)
    return bias


def each_dim(name, reference, **options):
    return {f"{name}{d}d": (options, [[shape] for shape in GRID[d]], reference) for d in (1, 2, 3)}


def single(shapes):
    return [[shape] for shape in shapes]


IN_OUT = {"in_channels": 4, "out_channels": 6}
LSTM = {"input_size": 3, "hidden_size": 5}
SEQUENCES = [(1, 1, 3), (4, 7, 3), (0, 2, 3)]
PAIRS = [[(1, 1, 8), (1, 1, 6)], [(3, 4, 8), (3, 7, 6)], [(2, 5, 8), (2, 3, 6)]]
TRIPLES = [[(1, 1, 8), (1, 1, 6), (1, 1, 10)], [(3, 4, 8), (3, 7, 6), (3, 7, 10)]]
# name: options, shapes of the inputs, reference
REFERENCES = {
    "dense": ({"out_features": 3, "in_features": 6, "activation": "gelu"}, single(ROWS),
              lambda m, x: gelu(x @ m.linear.weight.T + m.linear.bias)),
    **each_dim("same_conv", same_conv, **IN_OUT, kernel_size=4, stride=2),
    **each_dim("depthwise_conv", lambda m, x: depthwise(m, x, 4, 2), channels=4, kernel_size=4, depth_multiplier=2),
    **each_dim("separable_conv", separable, **IN_OUT, kernel_size=3, activation="relu"),
    **each_dim("same_max_pool", lambda m, x: windows(x, 3, 2, -math.inf).amax(-1), kernel_size=3, stride=2),
    **each_dim("same_avg_pool", average, kernel_size=2),
    "global_avg_pool": ({}, single(MAPS), lambda m, x: x.flatten(2).sum(-1) / x[0, 0].numel()),
    "global_max_pool": ({}, single(MAPS), lambda m, x: x.flatten(2).sort(-1).values[..., -1]),
    "global_avg_max_pool": ({}, single(MAPS), lambda m, x: (x.flatten(2).mean(-1) + x.flatten(2).max(-1).values) / 2),
    "gem_pool": ({}, single(MAPS), lambda m, x: (x.flatten(2).clamp(min=1e-6) ** m.p).mean(-1) ** (1 / m.p)),
    "attention_pool": ({"channels": 4, "num_heads": 2}, single(MAPS), attention_pool),
    "peephole_lstm_cell": (LSTM, single([(1, 3), (4, 3), (0, 3)]),
                           lambda m, x: peephole(m, x, *x.new_zeros(2, x.shape[0], 5))[0]),
    "recurrent": ({"cell": "peephole_lstm_cell", **LSTM, "num_layers": 2}, single(SEQUENCES),
                  lambda m, x: unrolled(m.cells, x)),
    "bidirectional": ({"layer": {"name": "recurrent", "cell": "peephole_lstm_cell", **LSTM}}, single(SEQUENCES),
                      both_ways),
    "layer_norm2d": ({"normalized_shape": 4}, single(GRID[2]), lambda m, x: norm(m, x, 1)),
    "squared_relu": ({}, single(ROWS), lambda m, x: ((x + x.abs()) / 2) ** 2),
    "swish": ({"num_parameters": 6}, single(ROWS[:2]), lambda m, x: x / (1 + (-m.beta * x).exp())),
    "snake": ({"num_parameters": 6, "alpha": 2.0}, single(ROWS[:2]),
              lambda m, x: x + (1 - torch.cos(2 * m.alpha * x)) / (2 * m.alpha)),
    "reglu": ({}, single(ROWS), lambda m, x: x[..., :3] * x[..., 3:].clamp(min=0)),
    "geglu": ({}, single(ROWS), lambda m, x: x[..., :3] * gelu(x[..., 3:])),
    "swiglu": ({}, single(ROWS), lambda m, x: x[..., :3] * x[..., 3:] * torch.sigmoid(x[..., 3:])),
    "pau": ({}, single(ROWS), pau),
    "temperature_softmax": ({"dim": -1, "temperature": 2.0, "learnable": True}, single(ROWS), softened),
    "activity_regularization": ({"l1": 0.1, "l2": 0.1}, single(ROWS), lambda m, x: x * 1),
    "attention": ({"embed_dim": 8, "num_heads": 4, "num_kv_heads": 2, "kdim": 6, "vdim": 10}, TRIPLES, attend),
    "self_attention": ({"embed_dim": 8, "num_heads": 2, "causal": True, "rotary": True}, single(TOKENS),
                       lambda m, x: attend(m, x, causal=True, rotary=True)),
    "cross_attention": ({"embed_dim": 8, "num_heads": 2, "memory_dim": 6}, PAIRS, attend),
    "feed_forward": ({"embed_dim": 8, "hidden_dim": 12, "activation": "swiglu"}, single(TOKENS), swiglu_feed),
    "transformer_encoder_block": ({"embed_dim": 8, "num_heads": 2}, single(TOKENS), encoder_block),
    "transformer_decoder_block": ({"embed_dim": 8, "num_heads": 2, "memory_dim": 6}, PAIRS, decoder_block),
    "patch_embedding": ({"patch_size": (3, 2), "embed_dim": 8, "odd_sizes": "pad"},
                        single([(1, 3, 9, 7), (2, 3, 4, 4), (0, 3, 3, 2)]), patches),
    "sinusoidal_positions": ({"embed_dim": 8}, single([*TOKENS, (2, 0, 8)]), sinusoids),
    "learned_positions": ({"embed_dim": 8, "max_length": 9}, single([*TOKENS, (2, 0, 8)]),
                          lambda m, x: x + m.table[: x.shape[1]]),
    "learned_positions2d": ({"embed_dim": 8, "grid": (2, 3), "num_prefix_tokens": 1}, single([(1, 7, 8), (3, 7, 8)]),
                            lambda m, x: x + m.table),
    "rotary_positions": ({"head_dim": 8}, single([(1, 1, 1, 8), (2, 3, 7, 8), (1, 2, 0, 8)]), lambda m, x: turned(x)),
}  # fmt: skip
ELSEWHERE = {"alibi", "encoder_decoder"}  # whole numbers in: below


def drawn(layer, dtype):
    """The layer in evaluation mode, with every parameter away from its start, so that none is idle."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return layer.to(dtype).eval()


def assert_same(ours, theirs, dtype):
    """Equal to 1e-10 (float64) or 1e-6 (float32) of the largest value."""
    assert ours.shape == theirs.shape
    if ours.numel():
        error = (ours - theirs).abs().max().item()
        assert error <= (1e-10 if dtype == torch.float64 else 1e-6) * max(1.0, theirs.abs().max().item())


def test_every_layer_written_here_has_a_reference():
    assert set(REFERENCES) | ELSEWHERE == set(BUILTIN) == {name for name in EXAMPLES if name in BUILTIN}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_value_and_gradient_equal_the_reference(name, dtype):
    options, grid, reference = REFERENCES[name]
    torch.manual_seed(0)
    layer = drawn(create_layer(name, **options), dtype)
    for shapes in grid:
        generator = torch.Generator().manual_seed(1)
        inputs = [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]
        found = []
        for function in (layer, lambda *x: reference(layer, *x)):
            output = first_tensor(function(*inputs))
            weighting = torch.randn(output.numel(), generator=torch.Generator().manual_seed(2))
            weighting = F.normalize(weighting, dim=0).to(dtype).view_as(output)
            leaves = [*inputs, *layer.parameters()]
            grads = torch.autograd.grad((output * weighting).sum(), leaves, materialize_grads=True)
            found.append([output.detach(), *grads])
        for ours, theirs in zip(*found, strict=True):
            assert_same(ours, theirs, dtype)


def test_alibi_equals_its_loops():
    for queries, keys in [(1, 1), (3, 5), (4, 4), (0, 3)]:
        assert_same(create_layer("alibi", num_heads=6)(queries, keys), slopes(None, queries, keys), torch.float64)


@pytest.mark.feature(28)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 6, 2)])
def test_the_full_transformer_equals_torchs(norm_first, shape):
    batch, num_source, num_target = shape
    theirs = nn.Transformer(8, 2, 2, 2, 12, norm_first=norm_first, batch_first=True, dtype=torch.float64)
    if not norm_first:
        theirs.encoder.norm = theirs.decoder.norm = None
    drawn(theirs, torch.float64)
    options = {"num_encoder_layers": 2, "num_decoder_layers": 2, "hidden_dim": 12, "norm_first": norm_first}
    ours = EncoderDecoder(11, embed_dim=8, num_heads=2, **options).double().eval()
    for mine, other in zip(ours.encoder, theirs.encoder.layers, strict=True):
        copy_encoder_block(mine, other)
    for mine, other in zip(ours.decoder, theirs.decoder.layers, strict=True):
        copy_decoder_block(mine, other)
    if norm_first:
        ours.encoder_norm.load_state_dict(theirs.encoder.norm.state_dict())
        ours.decoder_norm.load_state_dict(theirs.decoder.norm.state_dict())
    source, target = torch.randint(1, 11, (batch, num_source)), torch.randint(1, 11, (batch, num_target))
    if batch > 1:
        source[1, 2:] = 0  # padding

    def embedded(tokens):
        return sinusoids(None, math.sqrt(8) * ours.source_embedding.weight[tokens])

    hidden = source == 0
    future = torch.ones(num_target, num_target).triu(1).bool()
    decoded = theirs(
        embedded(source), embedded(target), tgt_mask=future, src_key_padding_mask=hidden, memory_key_padding_mask=hidden
    )
    expected = decoded @ ours.source_embedding.weight.T
    received = ours(source, target)
    assert_same(received, expected, torch.float64)
    table = ours.source_embedding.weight
    ours_grad, their_grad = (torch.autograd.grad(y.square().sum(), table)[0][1:] for y in (received, expected))
    assert_same(ours_grad, their_grad, torch.float64)  # the padding's own row never learns
