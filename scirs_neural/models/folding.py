"""BatchNorm folded into the layer before it: the same outputs in evaluation, with fewer modules."""

from __future__ import annotations

import copy

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold_batchnorm(network: nn.Module) -> tuple[nn.Module, int]:
    """A copy of a network whose BatchNorms are part of the convolutions and linear layers before them.

    In evaluation BatchNorm is a scale and a shift for each channel, which the weights before it can take over. Where a
    layer's output goes to anything but its BatchNorm, or is shared, it is left as it is.

    Args:
        network: in evaluation mode, or put into it: the copy is for use, not for training.

    Returns:
        The copy, and how many BatchNorms are gone from it. 0 if the network's flow depends on its values, so that it
        cannot be traced.

    Source: torch.nn.utils.fusion (the arithmetic), torch.fx (what follows what).

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        >>> folded, gone = fold_batchnorm(net)
        >>> gone, [type(part).__name__ for part in folded]
        (1, ['Conv2d', 'Identity', 'ReLU'])
    """
    folded = copy.deepcopy(network).eval()
    try:
        graph = fx.Tracer().trace(folded)
    except Exception:  # torch.fx raises whatever the traced code raises on proxies
        return folded, 0
    gone = 0
    for before, norm in _pairs(folded, graph):
        layer, batchnorm = folded.get_submodule(before), folded.get_submodule(norm)
        assert isinstance(batchnorm, _BatchNorm)
        if isinstance(layer, nn.Linear):
            folded.set_submodule(before, fuse_linear_bn_eval(layer, batchnorm))
        else:
            assert isinstance(layer, _CONVOLUTIONS)
            folded.set_submodule(before, fuse_conv_bn_eval(layer, batchnorm))
        folded.set_submodule(norm, nn.Identity())
        gone += 1
    return folded, gone


def _pairs(network: nn.Module, graph: fx.Graph) -> list[tuple[str, str]]:
    """The layers that are followed by nothing but a BatchNorm, each used once, by name."""
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    found = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(network.get_submodule(str(node.target)), _BatchNorm):
            continue
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = str(before.target), str(node.target)
        kind, batchnorm = network.get_submodule(layer), network.get_submodule(norm)
        is_alone = calls.count(layer) == calls.count(norm) == 1
        fits = isinstance(kind, (*_CONVOLUTIONS, nn.Linear)) and getattr(batchnorm, "running_mean", None) is not None
        if is_alone and fits:
            found.append((layer, norm))
    return found
