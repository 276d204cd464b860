"""Networks of texts: padding changes nothing, and the LSTM equals torch's own on packed sequences."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from scirs_neural.core.errors import ConfigError
from scirs_neural.models.text.small import POOLINGS, BagOfEmbeddings, TextLSTM

PAD = 3
NETS = {
    "bag": lambda: BagOfEmbeddings(50, PAD, 4),
    "linear_bag": lambda: BagOfEmbeddings(50, PAD, 4, hidden=[]),
    **{f"lstm_{pooling}": lambda p=pooling: TextLSTM(50, PAD, 4, num_layers=2, pooling=p) for pooling in POOLINGS},
}


def texts(*lengths, width=None):
    rows = torch.randint(4, 50, (len(lengths), width or max(lengths)))
    return torch.where(torch.arange(rows.shape[1]) < torch.tensor(lengths)[:, None], rows, PAD)


@pytest.mark.parametrize("name", NETS)
def test_answers_do_not_depend_on_padding(name):
    net = NETS[name]().eval()
    batch = texts(9, 1, 5, width=17)
    whole = net(batch)
    for row, length, alone in zip(batch, (9, 1, 5), whole, strict=True):
        torch.testing.assert_close(net(row[None, :length])[0], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_lstm_is_torchs_on_packed_sequences(pooling):
    net = TextLSTM(50, PAD, 4, embed_dim=6, hidden_size=5, num_layers=2, pooling=pooling, dropout=0.0).double()
    theirs = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True).double()
    for place in range(2):
        for ours, suffix in ((net.ahead[place], ""), (net.back[place], "_reverse")):
            for key, value in ours.state_dict().items():
                getattr(theirs, key.replace("_l0", f"_l{place}") + suffix).data.copy_(value)
    lengths = (7, 2, 4)
    batch = texts(*lengths, width=11)
    packed = pack_padded_sequence(net.embedding(batch), torch.tensor(lengths), True, enforce_sorted=False)
    output, (state, _) = theirs(packed)
    padded = pad_packed_sequence(output, batch_first=True)[0]
    if pooling == "last":
        pooled = torch.cat([state[-2], state[-1]], 1)
    else:
        pool = torch.amax if pooling == "max" else torch.mean
        pooled = torch.stack([pool(x[:n], 0) for x, n in zip(padded, lengths, strict=True)])
    torch.testing.assert_close(net(batch), net.head(pooled), rtol=1e-12, atol=1e-12)


def test_the_bag_is_torchs_embedding_bag():
    net = BagOfEmbeddings(50, PAD, 4, hidden=[]).eval()
    bag = nn.EmbeddingBag.from_pretrained(net.embedding.weight, mode="mean", padding_idx=PAD)
    batch = texts(6, 2, 3)
    torch.testing.assert_close(net(batch), net.head(bag(batch)))


@pytest.mark.filterwarnings("ignore:The tensor attributes .* were assigned during export")  # torch's, of its own LSTM
@pytest.mark.parametrize("name", NETS)
def test_padding_learns_nothing_and_the_network_is_exported_as_it_is(name):
    net = NETS[name]()
    net(texts(5, 2)).sum().backward()
    assert not net.embedding.weight.grad[PAD].any()
    n, t = torch.export.Dim("n", min=1, max=64), torch.export.Dim("t", min=1, max=64)
    is_lstm = isinstance(net, TextLSTM)  # torch.export unrolls it for one length: padding makes that do for all
    program = torch.export.export(net.eval(), (texts(4, 6),), dynamic_shapes=({0: n} if is_lstm else {0: n, 1: t},))
    for lengths in ((6, 3, 1), (2,)):
        batch = texts(*lengths, width=6 if is_lstm else 11)
        torch.testing.assert_close(program.module()(batch), net(batch))


def test_options_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="pooling"):
        TextLSTM(9, pooling="avg")
    with pytest.raises(ConfigError, match="num_layers"):
        TextLSTM(9, num_layers=0)
