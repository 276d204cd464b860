import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import Bidirectional, Recurrent, RecurrentCell, create_layer
from scirs_neural.layers.cells import PeepholeLSTMCell

LENGTHS = torch.tensor([6, 2, 5, 1])


class UsersGRUCell(RecurrentCell):
    """nn.GRUCell's equations, as a user would write them."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input = nn.Linear(input_size, 3 * hidden_size)
        self.hidden = nn.Linear(hidden_size, 3 * hidden_size)

    def step(self, x, state):
        (h,) = state
        reset_x, update_x, new_x = self.input(x).chunk(3, -1)
        reset_h, update_h, new_h = self.hidden(h).chunk(3, -1)
        update = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        h = (1 - update) * new + update * h
        return h, (h,)


class MinimalGatedCell(RecurrentCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.forget = nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = state[0]
        forget = torch.sigmoid(self.forget(torch.cat([x, h], -1)))
        h = (1 - forget) * h + forget * torch.tanh(self.candidate(torch.cat([x, forget * h], -1)))
        return h, (h,)


def gru_pair(num_layers=1, input_size=3, hidden_size=5):
    theirs = nn.GRU(input_size, hidden_size, num_layers, batch_first=True).double()
    ours = Recurrent(UsersGRUCell, input_size, hidden_size, num_layers).double()
    for i, cell in enumerate(ours.cells):
        cell.input.weight.data = getattr(theirs, f"weight_ih_l{i}").data
        cell.input.bias.data = getattr(theirs, f"bias_ih_l{i}").data
        cell.hidden.weight.data = getattr(theirs, f"weight_hh_l{i}").data
        cell.hidden.bias.data = getattr(theirs, f"bias_hh_l{i}").data
    return ours, theirs


@pytest.mark.feature(17)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("with_state", [True, False])
def test_users_gru_equals_torchs(num_layers, batch, with_state):
    ours, theirs = gru_pair(num_layers)
    x = torch.randn(batch, 6, 3, dtype=torch.float64, requires_grad=True)
    start = torch.randn(num_layers, batch, 5, dtype=torch.float64) if with_state else None
    output, (last,) = ours(x, None if start is None else (start,))
    reference, reference_last = theirs(x, start)
    torch.testing.assert_close(output, reference, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(last, reference_last, rtol=1e-10, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (output, reference))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(17)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_users_gru_packs_as_torchs(num_layers):
    ours, theirs = gru_pair(num_layers)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    for received, expected in zip(ours(packed)[0], theirs(packed)[0], strict=True):
        torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-12)
    output, (last,) = ours(x, lengths=LENGTHS)
    reference, reference_last = theirs(packed)
    torch.testing.assert_close(output, pad_packed_sequence(reference, batch_first=True)[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(last, reference_last, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(17)
def test_time_first_reverse_and_empty_sequences():
    ours, theirs = gru_pair()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    time_first = Recurrent(ours.cells[0], batch_first=False)
    torch.testing.assert_close(time_first(x.transpose(0, 1))[0].transpose(0, 1), ours(x)[0])
    backwards = Recurrent(ours.cells[0], reverse=True)
    torch.testing.assert_close(backwards(x)[0], theirs(x.flip(1))[0].flip(1), rtol=1e-10, atol=1e-12)
    output, (last,) = ours(x, lengths=torch.tensor([0, 6, 0, 3]))
    assert not output[[0, 2]].any()
    assert not last[:, [0, 2]].any()
    output, (last,) = ours(x[:, :0])
    assert output.shape == (4, 0, 5)
    assert not last.any()


def test_dropout_lies_between_layers_only():
    layer = Recurrent(MinimalGatedCell, 3, 5, num_layers=2, dropout=1.0)
    x = torch.randn(2, 4, 3)
    assert not torch.equal(layer(x)[0], layer.eval()(x)[0])
    single = Recurrent(MinimalGatedCell, 3, 5, dropout=1.0)
    torch.testing.assert_close(single(x)[0], single.eval()(x)[0])


@pytest.mark.feature(17)
def test_peephole_lstm_without_peepholes_is_torchs_lstm():
    theirs = nn.LSTM(3, 5, batch_first=True).double()
    cell = PeepholeLSTMCell(3, 5).double()
    cell.input.weight.data, cell.hidden.weight.data = theirs.weight_ih_l0.data, theirs.weight_hh_l0.data
    cell.input.bias.data = theirs.bias_ih_l0.data + theirs.bias_hh_l0.data
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    output, (h, c) = Recurrent(cell)(x)
    reference, (h_ref, c_ref) = theirs(x)
    for received, expected in [(output, reference), (h, h_ref), (c, c_ref)]:
        torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-12)
    cell.peephole.data.normal_()
    assert not torch.allclose(Recurrent(cell)(x)[0], reference)


@pytest.mark.feature(17)
def test_minimal_gated_cell_trains():
    torch.manual_seed(0)
    layer, head = Recurrent(MinimalGatedCell, 1, 12), nn.Linear(12, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    losses = []
    for _ in range(150):  # remember the first value over 4 steps
        x = torch.rand(32, 4, 1)
        loss = F.mse_loss(head(layer(x)[0][:, -1]), x[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.2 * sum(losses[:5])


@pytest.mark.feature(16)
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_bidirectional_equals_torchs(kind, batch_first, lengths):
    theirs = create_layer(kind, 3, 5, batch_first=batch_first, bidirectional=True).double()
    ours = Bidirectional(create_layer(kind, 3, 5, batch_first=batch_first)).double()
    own = ours.forward_layer.state_dict()
    ours.forward_layer.load_state_dict({key: theirs.state_dict()[key] for key in own})
    ours.backward_layer.load_state_dict({key: theirs.state_dict()[f"{key}_reverse"] for key in own})
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    x = (x if batch_first else x.transpose(0, 1)).requires_grad_()
    output, (ahead, back) = ours(x, lengths)
    if lengths is None:
        reference, last = theirs(x)
    else:
        packed, last = theirs(pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False))
        reference = pad_packed_sequence(packed, batch_first)[0]
        packed_ours, _ = ours(pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False))
        torch.testing.assert_close(packed_ours.data, packed.data, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(output, reference, rtol=1e-10, atol=1e-12)
    hidden, ahead, back = (s[0] if kind == "lstm" else s for s in (last, ahead, back))
    torch.testing.assert_close(torch.cat([ahead, back]), hidden, rtol=1e-10, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (output, reference))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.feature(16)
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_bidirectional_takes_users_cells(lengths):
    ahead, theirs_ahead = gru_pair()
    back, theirs_back = gru_pair()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    ours = Bidirectional(ahead.cells[0], backward_layer=back.cells[0])
    reference = Bidirectional(theirs_ahead, backward_layer=theirs_back)
    torch.testing.assert_close(ours(x, lengths)[0], reference(x, lengths)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.feature(16)
def test_merges():
    layers = {m: create_layer("bidirectional", Recurrent(UsersGRUCell, 3, 5), merge=m) for m in
              ("concat", "sum", "mean", "mul")}  # fmt: skip
    for layer in layers.values():
        layer.load_state_dict(layers["concat"].state_dict())
    x = torch.randn(2, 4, 3)
    ahead, back = layers["concat"](x)[0].chunk(2, -1)
    torch.testing.assert_close(layers["sum"](x)[0], ahead + back)
    torch.testing.assert_close(layers["mean"](x)[0], (ahead + back) / 2)
    torch.testing.assert_close(layers["mul"](x)[0], ahead * back)


def test_directions_start_from_different_weights():
    layer = Bidirectional(PeepholeLSTMCell(3, 5))
    ahead, back = layer.forward_layer.cells[0], layer.backward_layer.cells[0]
    assert not torch.equal(ahead.input.weight, back.input.weight)
    assert back.input.bias[5:10].mean() > 0.5  # the forget bias is there in both


def test_wrong_use_is_named():
    layer = Recurrent(UsersGRUCell, 3, 5)
    with pytest.raises(ShapeError, match=r"Recurrent expects \(N, T, F=3\), received \(2, 4, 6\)"):
        layer(torch.zeros(2, 4, 6))
    with pytest.raises(ShapeError, match=r"expected lengths of shape \(2,\), received \(3,\)"):
        layer(torch.zeros(2, 4, 3), lengths=torch.tensor([1, 2, 3]))
    with pytest.raises(ShapeError, match=r"expected lengths of shape \(2,\), received \(3,\)"):
        Bidirectional(layer)(torch.zeros(2, 4, 3), lengths=torch.tensor([1, 2, 3]))
    with pytest.raises(ShapeError, match=r"UsersGRUCell expects \(N, F=3\)"):
        layer.cells[0](torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="needs input_size and hidden_size"):
        Recurrent(UsersGRUCell)
    with pytest.raises(ConfigError, match="5 outputs cannot feed one with 4 inputs"):
        Recurrent([UsersGRUCell(3, 5), UsersGRUCell(4, 5)])
    with pytest.raises(ConfigError, match="unknown merge 'add'"):
        Bidirectional(layer, merge="add")
    with pytest.raises(ConfigError, match="bidirectional already"):
        Bidirectional(nn.GRU(3, 5, bidirectional=True))
    with pytest.raises(NotImplementedError, match="must define step"):
        Recurrent(RecurrentCell(3, 5))(torch.zeros(1, 1, 3))


@pytest.mark.feature(14)
@pytest.mark.feature(15)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_padded_and_packed_give_equal_last_states(kind, num_layers):
    layer = create_layer(kind, 3, 5, num_layers=num_layers, batch_first=True).double()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    _, packed_last = layer(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    packed_last = packed_last[0] if kind == "lstm" else packed_last
    for i, length in enumerate(LENGTHS):
        _, alone = layer(x[i : i + 1, :length])
        alone = alone[0] if kind == "lstm" else alone
        torch.testing.assert_close(packed_last[:, i], alone[:, 0], rtol=1e-10, atol=1e-12)


def adding_problem(batch, steps, generator):
    """Two marked numbers among many: give their sum (Hochreiter and Schmidhuber 1997, section 5.4)."""
    values = torch.rand(batch, steps, generator=generator)
    marks = torch.zeros(batch, steps)
    half = steps // 2
    rows = torch.arange(batch)
    first = torch.randint(half, (batch,), generator=generator)
    second = half + torch.randint(steps - half, (batch,), generator=generator)
    marks[rows, first] = marks[rows, second] = 1.0
    return torch.stack([values, marks], -1), (values * marks).sum(1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "kind", [pytest.param("lstm", marks=pytest.mark.feature(14)), pytest.param("gru", marks=pytest.mark.feature(15))]
)
def test_adding_problem(kind):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    layer, head = create_layer(kind, 2, 64, batch_first=True), nn.Linear(64, 1)
    if kind == "lstm":
        with torch.no_grad():
            layer.bias_ih_l0[64:128] += 1.0  # do not forget at first
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    for step in range(4000):
        x, y = adding_problem(64, 100, generator)
        loss = F.mse_loss(head(layer(x)[0][:, -1]).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 99:
            x, y = adding_problem(1000, 100, torch.Generator().manual_seed(2))
            with torch.no_grad():
                error = F.mse_loss(head(layer(x)[0][:, -1]).squeeze(1), y).item()
            if error < 0.005:
                break
    print(f"adding problem, {kind}: test MSE {error:.5f} after {step + 1} steps (always saying 1: 0.167)")
    assert error < 0.01
