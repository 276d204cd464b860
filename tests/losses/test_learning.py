"""What the losses are for, on scikit-learn's digits: rare classes, nearest neighbours, reading without positions."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from scirs_neural.losses import create_loss, ctc_beam_decode, ctc_greedy_decode


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32)
    parts = train_test_split(x, torch.tensor(y), test_size=0.3, stratify=y, random_state=0)
    return parts[0], parts[2], parts[1], parts[3]  # train x, y, test x, y


def minority_recall(digits, loss, seed):
    """Is it an 8? Trained with 50 others for every 8."""
    train_x, train_y, test_x, test_y = digits
    torch.manual_seed(seed)
    others = torch.nonzero(train_y != 8).flatten()
    eights = torch.nonzero(train_y == 8).flatten()
    eights = eights[torch.randperm(len(eights))[: len(others) // 50]]
    chosen = torch.cat([others, eights])
    x, y = train_x[chosen], (train_y[chosen] == 8).long()
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    found = net(test_x).argmax(1)[test_y == 8]
    return found.float().mean().item()


@pytest.mark.feature(45)
def test_focal_loss_finds_more_of_a_rare_class(digits):
    plain = [minority_recall(digits, create_loss("cross_entropy"), seed) for seed in range(3)]
    focal = [minority_recall(digits, create_loss("focal", alpha=[0.25, 0.75]), seed) for seed in range(3)]
    print(f"recall of the 1:50 class, plain {plain}, focal {focal}")
    assert sum(focal) > sum(plain) + 0.3  # 10 points on average


def neighbour_accuracy(digits, step, seed=0, steps=250):
    """Train an embedding in 8 dimensions; accuracy of its nearest neighbour."""
    train_x, train_y, test_x, test_y = digits
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 8),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(steps):
        chosen = torch.randint(len(train_x), (64,))
        optimizer.zero_grad()
        step(net(train_x[chosen]), train_y[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        neighbours = KNeighborsClassifier(1).fit(net(train_x).numpy(), train_y.numpy())
        return neighbours.score(net(test_x).numpy(), test_y.numpy())


def pairwise(embeddings, labels):
    """Siamese pairs out of one batch: half of them equal where the batch allows it."""
    same = labels[:, None] == labels[None, :]
    equal = torch.nonzero(same.triu(1))
    other = torch.nonzero(~same.triu(0) & torch.ones_like(same).triu(1))
    other = other[torch.randperm(len(other))[: len(equal)]]
    pairs = torch.cat([equal, other])
    target = torch.cat([torch.ones(len(equal)), torch.zeros(len(other))])
    return create_loss("contrastive")(embeddings[pairs], target)


@pytest.mark.feature(46)
@pytest.mark.parametrize("name", ["contrastive", "nt_xent", "supervised_contrastive"])
def test_siamese_digits(name, digits):
    step = pairwise if name == "contrastive" else create_loss(name)
    accuracy = neighbour_accuracy(digits, step)
    print(f"1-NN in 8 dimensions, {name}: {accuracy:.4f}")
    assert accuracy >= 0.97


@pytest.mark.feature(47)
@pytest.mark.parametrize("mining", ["semi_hard", "hard"])
def test_triplet_digits(mining, digits):
    accuracy = neighbour_accuracy(digits, create_loss("triplet", mining=mining, normalize=True))
    print(f"1-NN in 8 dimensions, triplet {mining}: {accuracy:.4f}")
    assert accuracy >= 0.97


def strips(x, y, count, generator, length=5):
    """Strips of joined digits with gaps of unknown width, and what stands on them."""
    chosen = torch.randint(len(x), (count, length), generator=generator)
    images = torch.zeros(count, 8, 8 * length + 10)
    gaps = torch.randint(0, 3, (count, length), generator=generator)
    for row in range(count):
        at = 0
        for k in range(length):
            at += int(gaps[row, k])
            images[row, :, at : at + 8] = x[chosen[row, k]].reshape(8, 8)
            at += 8
    return images, y[chosen] + 1  # 0 is the blank


class StripReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.columns = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        )  # fmt: skip
        self.read = nn.Sequential(nn.Conv1d(256, 96, 5, padding=2), nn.ReLU(), nn.Conv1d(96, 11, 1))

    def forward(self, images):
        return self.read(self.columns(images.unsqueeze(1)).flatten(1, 2)).transpose(1, 2)


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@pytest.mark.feature(50)
def test_ctc_reads_strips_of_digits(digits):
    train_x, train_y, test_x, test_y = digits
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net, loss = StripReader(), create_loss("ctc_sequence")
    images, texts = strips(train_x, train_y, 2000, generator)
    steps, batch = 250, 32
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        optimizer.zero_grad()
        loss(net(images[chosen]), texts[chosen]).backward()
        optimizer.step()
        schedule.step()
    images, texts = strips(test_x, test_y, 200, generator)
    with torch.no_grad():
        logits = net.eval()(images)
    truth = texts.tolist()
    total = sum(map(len, truth))
    greedy = sum(map(edits, ctc_greedy_decode(logits), truth)) / total
    beam = sum(
        edits(found[0][0], text)
        for found, text in zip(ctc_beam_decode(logits[:40], beam_width=4), truth[:40], strict=True)
    )
    print(f"character error rate: greedy {greedy:.4f}, beam (40 strips) {beam / sum(map(len, truth[:40])):.4f}")
    assert greedy < 0.05
    assert beam / sum(map(len, truth[:40])) < 0.05
