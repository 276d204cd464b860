import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scirs_neural.core.errors import ConfigError, DataError, ShapeError
from scirs_neural.layers import create_layer, load_word_vectors, tied_linear, word_embedding

GLOVE = "the 0.5 -1.0 2.5\ncat 1 2 3\nNew York 0.1 0.2 0.3\n"


@pytest.fixture
def glove_file(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE, encoding="utf-8")
    return path


@pytest.mark.feature(29)
def test_glove_text_is_read(glove_file):
    vectors = load_word_vectors(glove_file)
    assert list(vectors) == ["the", "cat", "New York"]  # published files hold words with spaces
    assert vectors["the"].tolist() == [0.5, -1.0, 2.5]
    assert list(load_word_vectors(glove_file, words=["cat", "dog"])) == ["cat"]
    glove_file.write_text("3 3\n" + GLOVE, encoding="utf-8")  # word2vec's header
    assert list(load_word_vectors(str(glove_file))) == ["the", "cat", "New York"]


@pytest.mark.feature(29)
def test_frozen_vectors_do_not_move(glove_file):
    words = ["<pad>", "the", "unknown", "cat"]
    layer = word_embedding(words, load_word_vectors(glove_file), padding_idx=0)
    before = layer.weight.clone()
    head = nn.Linear(3, 2)
    optimizer = torch.optim.SGD([p for p in [*layer.parameters(), *head.parameters()] if p.requires_grad], lr=1.0)
    head(layer(torch.tensor([[0, 1, 2, 3]]))).sum().backward()
    optimizer.step()
    assert torch.equal(layer.weight, before)
    assert not layer.weight[0].any()
    assert layer.weight[3].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.feature(29)
def test_trained_vectors_move_but_the_padding(glove_file):
    layer = word_embedding(["<pad>", "cat"], load_word_vectors(glove_file), padding_idx=0, freeze=False)
    layer(torch.tensor([0, 1])).sum().backward()
    assert layer.weight.grad.tolist() == [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]


@pytest.mark.feature(29)
def test_unknown_words_get_a_plausible_vector(glove_file):
    vectors = load_word_vectors(glove_file)
    words = [f"unknown{i}" for i in range(4000)]
    layer = word_embedding(words, vectors)
    assert torch.equal(layer.weight, word_embedding(words, vectors).weight)
    known = torch.stack(list(vectors.values()))
    torch.testing.assert_close(layer.weight.mean(0), known.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(layer.weight.std(0), known.std(0, correction=0), rtol=0.05, atol=0)


@pytest.mark.feature(29)
def test_max_norm(glove_file):
    layer = word_embedding(["cat", "the"], load_word_vectors(glove_file), max_norm=1.0)
    torch.testing.assert_close(layer(torch.tensor([0, 1])).norm(dim=1), torch.ones(2))


@pytest.mark.feature(29)
@pytest.mark.parametrize("bias", [True, False])
def test_tied_output_shares_memory(bias):
    embedding = nn.Embedding(10, 4)
    output = tied_linear(embedding, bias)
    assert output.weight.data_ptr() == embedding.weight.data_ptr()
    model = nn.ModuleDict({"embedding": embedding, "output": output})
    assert sum(p.numel() for p in model.parameters()) == 40 + 10 * bias
    before = embedding.weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    output(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert not torch.equal(embedding.weight, before)
    assert torch.equal(embedding.weight, output.weight)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_word_vectors(tmp_path / "none.txt")
    path = tmp_path / "bad.txt"
    path.write_text("cat 1 2 3\ndog 1 2\n")
    with pytest.raises(DataError) as caught:
        load_word_vectors(path)
    assert str(caught.value.where).endswith("bad.txt, line 2")
    path.write_text("cat 1 2 3\ndog 1 x 2\n")
    with pytest.raises(DataError, match="no vector: could not convert string to float: 'x'"):
        load_word_vectors(path)
    path.write_text("cat\n")
    with pytest.raises(DataError, match="expected a word"):
        load_word_vectors(path)
    with pytest.raises(DataError, match="no word vectors"):
        word_embedding(["cat"], {})


@pytest.mark.feature(31)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("patch", "size"), [(4, (8, 12)), ((2, 3), (6, 9)), (5, (5, 5))])
def test_patches_equal_unfold_and_linear(batch, patch, size):
    layer = create_layer("patch_embedding", patch, in_channels=3, embed_dim=8, dtype=torch.float64)
    x = torch.randn(batch, 3, *size, dtype=torch.float64, requires_grad=True)
    height, width = layer.patch_size
    columns = F.unfold(x, layer.patch_size, stride=layer.patch_size).transpose(1, 2)
    expected = F.linear(columns, layer.projection.weight.flatten(1), layer.projection.bias)
    received = layer(x)
    assert received.shape[1] == (size[0] // height) * (size[1] // width)
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (received, expected))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    as_map = create_layer("patch_embedding", patch, 3, 8, flatten=False)
    assert as_map(x.float()).shape == (batch, 8, *layer.grid(*size))


@pytest.mark.feature(31)
def test_odd_sizes_are_refused_or_padded():
    x = torch.randn(2, 3, 9, 7)
    with pytest.raises(ShapeError, match=r"expects sizes in multiples of \(4, 4\), received \(9, 7\)") as caught:
        create_layer("patch_embedding", 4, embed_dim=8)(x)
    assert "odd_sizes" in str(caught.value)
    layer = create_layer("patch_embedding", 4, embed_dim=8, odd_sizes="pad")
    assert layer(x).shape == (2, 3 * 2, 8)
    torch.testing.assert_close(layer(x), layer(F.pad(x, (0, 1, 0, 3))))
    with pytest.raises(ShapeError, match=r"PatchEmbedding expects \(N, C=3, H, W\), received \(2, 1, 8, 8\)"):
        layer(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ConfigError, match="'refuse' or 'pad'"):
        create_layer("patch_embedding", 4, odd_sizes="crop")
