"""Real digits, split once for the room."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@pytest.fixture(scope="session")
def digits():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(x, torch.tensor(y), test_size=0.3, stratify=y, random_state=0)
    return parts[0], parts[2], parts[1], parts[3]  # train x, y, test x, y


@pytest.fixture(scope="session")
def fit(digits):
    """Train a classifier on the digits; its accuracy on the others."""

    def run(net, steps=150, lr=0.01, batch=64, optimizer=torch.optim.Adam, seed=0):
        train_x, train_y, test_x, test_y = digits
        generator = torch.Generator().manual_seed(seed)
        opt = optimizer(net.parameters(), lr=lr)
        net.train()
        for _ in range(steps):
            chosen = torch.randint(len(train_x), (batch,), generator=generator)
            opt.zero_grad()
            torch.nn.functional.cross_entropy(net(train_x[chosen]), train_y[chosen]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            return (net(test_x).argmax(1) == test_y).float().mean().item()

    return run
