import copy
import pickle

import pytest
import torch
from torch import nn
from torchvision.models.convnext import LayerNorm2d as TorchvisionLayerNorm2d

from scirs_neural.core.errors import ConfigError, ShapeError
from scirs_neural.layers import (
    convert_batch_norm,
    create_layer,
    freeze_batch_norm,
    recalibrate_batch_norm,
    unfreeze_batch_norm,
)

SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 7)}


def small_net():
    return nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(), nn.Flatten()
    )


@pytest.mark.feature(18)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("batch", [2, 5])
def test_batch_norm_equals_its_formula_in_both_modes(dims, batch):
    layer = create_layer(f"batch_norm{dims}d", 3, dtype=torch.float64)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = 2 + 3 * torch.randn(batch, 3, *SIZES[dims], dtype=torch.float64)
    along = (0, *range(2, 2 + dims))
    shape = (1, 3, *[1] * dims)
    mean, var = x.mean(along), x.var(along, correction=0)
    expected = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
    expected = expected * layer.weight.view(shape) + layer.bias.view(shape)
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.running_mean, 0.1 * mean)
    layer.eval()
    expected = (x - layer.running_mean.view(shape)) / (layer.running_var.view(shape) + 1e-5).sqrt()
    expected = expected * layer.weight.view(shape) + layer.bias.view(shape)
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.feature(18)
def test_recalibrated_statistics_equal_the_datas():
    data = 5 + 2 * torch.randn(53, 3, 6, 6)
    net = small_net().train()
    net[3].eval()
    modes = [module.training for module in net.modules()]
    recalibrate_batch_norm(net, ([batch] for batch in data.split(10)))  # the last batch has 3
    torch.testing.assert_close(net[0].running_mean, data.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(net[0].running_var, data.var((0, 2, 3)), rtol=1e-6, atol=1e-6)
    assert [module.training for module in net.modules()] == modes
    assert net[0].momentum == 0.1
    # In one batch the second layer sees what it sees in training: its statistics are exact too.
    recalibrate_batch_norm(net, [data])
    mean, var = data.mean((0, 2, 3), keepdim=True), data.var((0, 2, 3), correction=0, keepdim=True)
    hidden = net[1]((data - mean) / (var + 1e-5).sqrt())
    torch.testing.assert_close(net[2].running_mean, hidden.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net[2].running_var, hidden.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
    # The order of batches does not matter.
    before = net[0].running_var.clone()
    recalibrate_batch_norm(net, reversed(data.split(7)))
    torch.testing.assert_close(net[0].running_var, before, rtol=1e-6, atol=0)


@pytest.mark.feature(18)
def test_frozen_statistics_stay_through_train():
    net = freeze_batch_norm(small_net(), affine=True).train()
    before = copy.deepcopy(net.state_dict())
    x = torch.randn(4, 3, 6, 6)
    net(x).sum().backward()
    assert net[3].training
    assert not net[2].training
    for key in before:
        assert torch.equal(net.state_dict()[key], before[key])
    assert net[0].weight.grad is None
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        copied.train()
        assert not copied[0].training  # the copy is frozen, by itself
        assert copied[0].train() is copied[0]
    unfreeze_batch_norm(net)
    assert net[2].training
    assert net[2].weight.requires_grad
    assert net[2].eval().training is False


@pytest.mark.feature(18)
def test_switch_to_synchronised_and_other_norms():
    net = small_net()
    nn.init.normal_(net[2].weight)
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(net))
    x = torch.randn(4, 3, 6, 6)
    torch.testing.assert_close(synced.eval()(x), net.eval()(x))
    grouped = convert_batch_norm(net, lambda old: nn.GroupNorm(1, old.num_features))
    assert isinstance(grouped[2], nn.GroupNorm)
    assert isinstance(net[2], nn.BatchNorm2d)
    assert torch.equal(grouped[2].weight, net[2].weight)
    alone = convert_batch_norm(net[2], lambda old: nn.GroupNorm(2, old.num_features))
    assert torch.equal(alone.weight, net[2].weight)


def test_models_without_statistics_are_refused():
    with pytest.raises(ConfigError, match="no batch normalisation"):
        recalibrate_batch_norm(nn.Linear(2, 2), [torch.zeros(1, 2)])
    with pytest.raises(ConfigError, match="no data reached"):
        recalibrate_batch_norm(small_net(), [])


@pytest.mark.feature(19)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm2d_equals_torchvisions(batch, affine):
    ours = create_layer("layer_norm2d", 6, elementwise_affine=affine, dtype=torch.float64)
    theirs = TorchvisionLayerNorm2d(6, elementwise_affine=affine, dtype=torch.float64)
    if affine:
        nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(batch, 6, 9, 7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-12)
    (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (ours(x), theirs(x)))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    with pytest.raises(ShapeError, match=r"LayerNorm2d expects \(N, C=6, H, W\), received \(1, 9, 7, 6\)"):
        ours(torch.zeros(1, 9, 7, 6))


@pytest.mark.feature(19)
def test_layer_and_rms_norm_equal_their_formulas():
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    mean, var = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
    torch.testing.assert_close(create_layer("layer_norm", 8).double()(x), (x - mean) / (var + 1e-5).sqrt())
    rms = (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(create_layer("rms_norm", 8, eps=1e-6).double()(x), x / rms)


@pytest.mark.feature(20)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_instance_norm_gives_mean_0_and_std_1(dims):
    x = 4 + 3 * torch.randn(2, 3, *SIZES[dims])
    y = create_layer(f"instance_norm{dims}d", 3)(x).flatten(2)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.std(-1, correction=0), torch.ones(2, 3), rtol=1e-4, atol=0)
    assert len(list(create_layer(f"instance_norm{dims}d", 3).parameters())) == 0
    tracking = create_layer(f"instance_norm{dims}d", 3, affine=True, track_running_stats=True)
    tracking(x)
    torch.testing.assert_close(tracking.running_mean, 0.1 * x.flatten(2).mean(-1).mean(0))
    assert len(list(tracking.parameters())) == 2


@pytest.mark.feature(21)
def test_group_norm_between_instance_and_layer_norm():
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    by_channel = create_layer("group_norm", 6, 6).double()(x)
    torch.testing.assert_close(by_channel, create_layer("instance_norm2d", 6).double()(x), rtol=1e-10, atol=1e-12)
    together = create_layer("group_norm", 1, 6).double()(x)
    torch.testing.assert_close(together, create_layer("layer_norm", [6, 9, 7]).double()(x), rtol=1e-10, atol=1e-12)
