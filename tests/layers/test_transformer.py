import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import EncoderDecoder, create_layer
from scirs_neural.layers.decoding import beam_search, greedy_search
from scirs_neural.layers.transformer_blocks import BlockCache, TransformerDecoderBlock, TransformerEncoderBlock
from tests.layers.from_torch import copy_decoder_block, copy_encoder_block

D64 = {"dtype": torch.float64}
REAL = torch.arange(5) < torch.tensor([[5], [3], [1]])


def randomised(layer):
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer.eval()


@pytest.mark.feature(26)
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("padded", [True, False])
def test_encoder_block_equals_torchs(norm_first, activation, batch, padded):
    theirs = nn.TransformerEncoderLayer(8, 2, 12, activation=activation, norm_first=norm_first, batch_first=True, **D64)
    randomised(theirs)
    ours = TransformerEncoderBlock(8, 2, 12, dropout=0.1, activation=activation, norm_first=norm_first).double().eval()
    copy_encoder_block(ours, theirs)
    x = torch.randn(batch, 5, 8, **D64, requires_grad=True)
    real = REAL[:batch] if padded else None
    keep = torch.ones(batch, 5).bool() if real is None else real
    received = ours(x, padding_mask=real)[keep]
    expected = theirs(x, src_key_padding_mask=None if real is None else ~real)[keep]
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (received, expected))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.feature(26)
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_decoder_block_equals_torchs(norm_first, batch):
    theirs = nn.TransformerDecoderLayer(8, 2, 12, norm_first=norm_first, batch_first=True, **D64)
    randomised(theirs)
    ours = TransformerDecoderBlock(8, 2, 12, activation="relu", norm_first=norm_first).double().eval()
    copy_decoder_block(ours, theirs)
    x = torch.randn(batch, 4, 8, **D64, requires_grad=True)
    memory = torch.randn(batch, 5, 8, **D64, requires_grad=True)
    future = torch.ones(4, 4).bool().triu(1)
    received = ours(x, memory, memory_padding_mask=REAL[:batch])
    expected = theirs(x, memory, tgt_mask=future, memory_key_padding_mask=~REAL[:batch])
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-12)
    ours_grads, their_grads = (torch.autograd.grad(y.square().sum(), (x, memory)) for y in (received, expected))
    for a, b in zip(ours_grads, their_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.feature(26)
def test_dropout_and_drop_path_work_in_training_only():
    x = torch.randn(64, 3, 8)
    block = TransformerEncoderBlock(8, 2, drop_path=0.5)
    kept = (block(x) == x).flatten(1).all(1).float().mean()
    assert 0.1 < kept < 0.45  # a quarter skips both branches
    assert not (block.eval()(x) == x).flatten(1).all(1).any()
    block = TransformerEncoderBlock(8, 2, dropout=0.5, attention_dropout=0.0)
    assert block.attention.dropout.p == 0.0
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_blocks_give_maps_and_take_gates_and_norms():
    x, memory = torch.randn(2, 4, 8), torch.randn(2, 5, 6)
    _, maps = TransformerEncoderBlock(8, 2, activation="swiglu", norm="rms_norm", num_kv_heads=1)(x, return_maps=True)
    assert maps.shape == (2, 2, 4, 4)
    _, maps = TransformerDecoderBlock(8, 2, memory_dim=6)(x, memory, return_maps=True)
    assert maps.shape == (2, 2, 4, 5)


@pytest.mark.feature(28)
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_cached_decoding_equals_full(positions, norm_first):
    torch.manual_seed(0)
    model = EncoderDecoder(
        12, embed_dim=16, num_heads=4, num_encoder_layers=2, num_decoder_layers=2, positions=positions,
        norm_first=norm_first, max_length=16,
    ).eval()  # fmt: skip
    source = torch.randint(1, 12, (3, 6))
    source[1, 4:] = 0
    target = torch.randint(1, 12, (3, 7))
    memory, real = model.encode(source)
    caches = [BlockCache() for _ in model.decoder]
    steps = [model.decode(target[:, t : t + 1], memory, real, caches) for t in range(7)]
    torch.testing.assert_close(torch.cat(steps, 1), model(source, target), rtol=1e-6, atol=2e-6)


@pytest.mark.feature(28)
def test_masks_hide_source_padding_and_the_future():
    torch.manual_seed(0)
    model = EncoderDecoder(12, embed_dim=16, num_heads=4, num_encoder_layers=1, num_decoder_layers=1).eval()
    source, target = torch.randint(1, 12, (2, 6)), torch.randint(1, 12, (2, 5))
    padded = F.pad(source, (0, 3))
    torch.testing.assert_close(model(padded, target), model(source, target), rtol=1e-5, atol=1e-5)
    changed = target.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 11 + 1
    torch.testing.assert_close(model(source, changed)[:, :3], model(source, target)[:, :3])


def test_weights_are_tied_as_asked():
    options = {"embed_dim": 8, "num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1}
    shared = EncoderDecoder(12, **options)
    assert shared.output.weight is shared.source_embedding.weight is shared.target_embedding.weight
    two = EncoderDecoder(12, 9, **options)
    assert two.output.weight is two.target_embedding.weight
    assert two.source_embedding.weight.shape == (12, 8)
    free = EncoderDecoder(12, tie_output=False, **options)
    assert free.output.weight is not free.target_embedding.weight
    assert free.output.bias is not None
    with pytest.raises(ConfigError, match="unknown positions 'rope'"):
        EncoderDecoder(12, positions="rope", **options)
    with pytest.raises(ShapeError, match=r"EncoderDecoder expects \(B=2, T\), received \(3, 4\)"):
        shared(torch.ones(2, 5).long(), torch.ones(3, 4).long())


BOS, EOS, PAD = 1, 2, 0


class TableModel:
    """Logits that depend on the last token only: all sequences can be scored by hand."""

    def __init__(self, batch, width, tokens=5, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.tables = torch.randn(batch, tokens, tokens, generator=generator)
        self.rows = torch.arange(batch).repeat_interleave(width)

    def step(self, newest):
        return self.tables[self.rows, newest[:, 0]]

    def reorder(self, rows):
        assert torch.equal(self.rows[rows], self.rows)  # a beam never changes its sentence

    def best(self, row, length, penalty):
        """The best sequence of at most `length` tokens, by trying all."""
        log = self.tables[row].log_softmax(-1)
        tokens = log.shape[0]
        best = (-math.inf, None)
        stack = [([], BOS, 0.0)]
        while stack:
            sequence, last, score = stack.pop()
            if sequence and (sequence[-1] == EOS or len(sequence) == length):
                best = max(best, (score / len(sequence) ** penalty, sequence))
                continue
            stack += [([*sequence, t], t, score + log[last, t].item()) for t in range(tokens)]
        return best


@pytest.mark.feature(28)
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty, seed):
    width, length = 5**3, 4
    model = TableModel(2, width, seed=seed)
    tokens, scores = beam_search(
        model.step, model.reorder, 2, BOS, EOS, length, PAD, torch.device("cpu"), width, penalty
    )
    for row in range(2):
        score, sequence = model.best(row, length, penalty)
        assert scores[row].item() == pytest.approx(score, abs=1e-5)
        assert tokens[row].tolist()[: len(sequence)] == sequence
        assert not any(tokens[row].tolist()[len(sequence) :])


@pytest.mark.feature(28)
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(seed):
    model = TableModel(3, 1, seed=seed)
    greedy = greedy_search(model.step, 3, BOS, EOS, 6, PAD, torch.device("cpu"))
    beam, _ = beam_search(model.step, model.reorder, 3, BOS, EOS, 6, PAD, torch.device("cpu"), 1)
    assert torch.equal(greedy, beam)
    for row, tokens in enumerate(greedy.tolist()):
        last = BOS
        for token in tokens:
            if last == EOS or token == PAD == last:
                break
            assert token == model.tables[row, last].argmax().item()
            last = token


@pytest.mark.feature(28)
def test_beam_of_the_model_scores_at_least_as_well_as_greedy():
    torch.manual_seed(0)
    model = EncoderDecoder(12, embed_dim=16, num_heads=4, num_encoder_layers=1, num_decoder_layers=1).eval()
    source = torch.randint(3, 12, (4, 6))

    def log_likelihood(tokens):
        shifted = F.pad(tokens[:, :-1], (1, 0), value=BOS)
        log = model(source, shifted).log_softmax(-1).gather(2, tokens[..., None]).squeeze(2)
        return log.sum(1)

    greedy = model.generate(source, BOS, -1, max_length=5)  # no token ends it: all are of one length
    beam = model.generate(source, BOS, -1, max_length=5, beam_size=12)
    assert greedy.shape == beam.shape == (4, 5)
    assert (log_likelihood(beam) >= log_likelihood(greedy) - 1e-4).all()


def digit_strings(count, generator, longest=8):
    """Strings of 3..longest digits as tokens 3..12, padded; and their reverse, with its end."""
    lengths = torch.randint(3, longest + 1, (count,), generator=generator)
    digits = torch.randint(3, 13, (count, longest), generator=generator)
    real = torch.arange(longest) < lengths[:, None]
    source = digits.where(real, PAD)
    places = (lengths[:, None] - 1 - torch.arange(longest)).clamp(min=0)
    target = F.pad(source.gather(1, places).where(real, PAD), (0, 1))
    target[torch.arange(count), lengths] = EOS
    return source, target


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.feature(28)
def test_the_transformer_learns_to_reverse_digit_strings():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(
        13, embed_dim=64, num_heads=4, num_encoder_layers=2, num_decoder_layers=2, hidden_dim=128, dropout=0.0
    )
    steps = 1500
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    seen = set()
    for _ in range(steps):
        source, target = digit_strings(128, generator)
        seen |= {tuple(row) for row in source.tolist()}
        logits = model(source, F.pad(target[:, :-1], (1, 0), value=BOS))
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    source, target = digit_strings(1200, torch.Generator().manual_seed(1))
    fresh = torch.tensor([tuple(row) not in seen for row in source.tolist()])
    source, target = source[fresh][:1000], target[fresh][:1000]
    model.eval()
    exact = {}
    for beam_size in (1, 4):
        tokens = model.generate(source, BOS, EOS, max_length=9, beam_size=beam_size)
        tokens = F.pad(tokens, (0, 9 - tokens.shape[1]))
        exact[beam_size] = (tokens == target).all(1).float().mean().item()
    print(f"reversed exactly, of {len(source)} unseen strings, by beam size: {exact}")
    assert min(exact.values()) >= 0.99


def test_feed_forward_equals_its_formula():
    layer = create_layer("feed_forward", 4, 6, activation="geglu", bias=False)
    x = torch.randn(3, 4)
    value, gate = (layer.up.weight @ x.T).T.chunk(2, -1)
    torch.testing.assert_close(layer(x), (value * F.gelu(gate)) @ layer.down.weight.T)
