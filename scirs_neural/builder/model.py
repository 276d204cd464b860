"""The network itself: an `nn.Module` whose ``forward`` is straight-line code, written once from the graph.

The code of a two-layer net is what a person would write::

    def forward(self, x):
        x = self.hidden(x)
        x = self.head(x)
        return x

so it runs at the same speed, compiles without graph breaks, exports and traces. ``model.code`` shows it.
"""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from scirs_neural.builder import node_specs
from scirs_neural.builder.forward_code import flat, write_code
from scirs_neural.builder.layer_node import meta_copy
from scirs_neural.builder.node_specs import InputSpec, NodeSpec
from scirs_neural.builder.operations import evaluate
from scirs_neural.builder.order import Names, topological_order
from scirs_neural.builder.symbol import Node, Symbol, first_sentence, show_shape
from scirs_neural.builder.table import summary
from scirs_neural.core.errors import ConfigError, ShapeError


class Model(nn.Module):
    """A network from symbolic inputs to symbolic outputs.

    Args:
        inputs: one symbol of `Input`, several, or a mapping from argument names to symbols.
        outputs: one symbol, several (``forward`` gives a tuple), or a mapping (it gives a dict).

    Raises:
        ConfigError: an output does not follow from the inputs, an input is not used, the graph has a cycle, or two
            layers have one name.

    Example:
        >>> from scirs_neural.builder import Input, layer
        >>> x = Input((8,))
        >>> h = layer("linear", 16, name="hidden")(x)
        >>> model = Model(x, layer("linear", 3, name="head")(h + 1.0))
        >>> model(torch.zeros(5, 8)).shape, [name for name, _ in model.named_parameters()]
        (torch.Size([5, 3]), ['hidden.weight', 'hidden.bias', 'head.weight', 'head.bias'])
    """

    outputs: Any

    def __init__(self, inputs: Any, outputs: Any) -> None:
        super().__init__()
        symbols = _inputs(inputs)
        known = {id(symbol) for symbol in symbols.values()}
        order = topological_order(flat(outputs), lambda symbol: id(symbol) in known)
        used = {id(x) for symbol in order if symbol.node for x in symbol.node.operands} | {id(x) for x in flat(outputs)}
        for symbol in symbols.values():
            if id(symbol) not in used:
                raise ConfigError(f"no output depends on the input {symbol!r}")
        names = Names(symbols)
        name_of = {**{id(symbol): name for name, symbol in symbols.items()}, **names.give(order)}
        self._start(symbols)
        self._record(order, name_of, names)
        self.outputs = _like(outputs, lambda symbol: name_of[id(symbol)])
        self._write()

    def _start(self, inputs: Mapping[str, Symbol]) -> None:
        self.inputs = tuple(
            InputSpec(name, tuple(symbol.value.shape[1:]), str(symbol.value.dtype)[6:])
            for name, symbol in inputs.items()
        )
        self.nodes: list[NodeSpec] = []
        self._code: str | None = None

    def _record(self, symbols: Sequence[Symbol], name_of: Mapping[int, str], names: Names) -> None:
        """Take in the nodes behind symbols: their layers as modules of the network, and the rest as plain data."""
        for symbol in symbols:
            node, name = symbol.node, name_of[id(symbol)]
            assert node is not None
            operands = tuple(name_of.get(id(x), x.name or "") if isinstance(x, Symbol) else x for x in node.operands)
            spec = _spec_of(node, name, operands, names)
            if spec.first and node.layer is not None and node.layer.module is not None:
                _attach(self, spec.module, node.layer.module)
            self.nodes.append(spec)

    @property
    def code(self) -> str:
        """The source of ``forward``."""
        return self._code or self._write()

    @property
    def forward(self) -> Callable[..., Any]:  # type: ignore[override]
        """The network's ``forward``, written now: the nodes have changed since it was last written."""
        self._write()
        return self.forward

    def _write(self) -> str:
        """Write the code, and become of a class that has this ``forward``, as torch.fx's GraphModule does."""
        self._code = write_code(self.inputs, self.nodes, self.outputs)
        self.__class__ = _class_with(base_class(type(self)), self._code)
        return self._code

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (base_class(type(self)), self.code), dict(self.__dict__)

    def to_spec(self) -> dict[str, Any]:
        """The network as plain data; `build` makes an equal one of it.

        Raises:
            ConfigError: a layer is known only as an object, or has an option that is not plain data.
        """
        return node_specs.to_spec(self.inputs, self.nodes, self.outputs)

    def to_yaml(self) -> str:
        """`to_spec` as YAML, one layer a line."""
        text: str = yaml.safe_dump(self.to_spec(), sort_keys=False, default_flow_style=None, width=120)
        return text

    def to_json(self) -> str:
        """`to_spec` as JSON."""
        return json.dumps(self.to_spec(), indent=1)

    def summary(self) -> str:
        """Layer, output shape, parameters, MACs and fraction, as a table."""
        return str(summary(self))

    def explain(self, error: Exception, given: Sequence[Any]) -> None:
        """Say in our words which node an input fails at, if its shape is to blame; else return.

        The nodes are run again without memory on the meta device, so nothing but shapes and dtypes can fail there.

        Raises:
            ShapeError: with the layer's path, and what came to it.
        """
        if torch.compiler.is_compiling() or not all(isinstance(x, Tensor) for x in given):
            return
        probe = meta_copy(self)
        names = [spec.name for spec in self.inputs]
        values: dict[str, Any] = {name: x.detach().to("meta") for name, x in zip(names, given, strict=True)}
        for node in self.nodes:
            operands = [values[x] if isinstance(x, str) else x for x in node.operands]
            try:
                with torch.no_grad():
                    values[node.name] = probe._one(node, operands)
            except (RuntimeError, IndexError, ValueError, TypeError):
                shapes = " and ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else show_shape(x) for x in operands)
                what = f"{node.module or node.name}: '{node.target or 'layer'}' cannot take {shapes}"
                raise ShapeError(what, fix=f"{self._expected()}; {first_sentence(error)}") from error

    def _one(self, node: NodeSpec, operands: list[Any]) -> Any:
        if node.module:
            return self.get_submodule(node.module)(*operands)
        return evaluate(str(node.target), operands, node.options)

    def _expected(self) -> str:
        sizes = [f"{spec.name} (N, {', '.join(map(str, spec.shape))})" for spec in self.inputs]
        return f"the net was built for {', '.join(sizes)}"


_written = 0


def _class_with(base: type[Model], code: str) -> type[Model]:
    """A class whose ``forward`` is this code. Its lines appear in tracebacks."""
    global _written
    _written += 1
    file = f"<scirs_neural network {_written}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    namespace: dict[str, Any] = {"torch": torch}
    exec(compile(code, file, "exec"), namespace)
    members = {
        "forward": namespace["forward"],
        "_is_written": True,
        "__module__": base.__module__,
        "__doc__": base.__doc__,
    }
    return type(base.__name__, (base,), members)


def base_class(cls: type[Model]) -> type[Model]:
    """The class that a person wrote."""
    return cls.__bases__[0] if "_is_written" in vars(cls) else cls


def _revive(base: type[Model], code: str) -> Model:
    cls = _class_with(base, code)
    return cls.__new__(cls)


def _spec_of(node: Node, name: str, operands: tuple[str | float, ...], names: Names) -> NodeSpec:
    layer = node.layer
    if layer is None:
        return NodeSpec(name, operands, "", False, node.operation, dict(node.options))
    module = names.path_of[layer]
    is_object = isinstance(layer.spec, nn.Module)
    options, target = ({}, None) if is_object else (dict(layer.options), layer.registered_name())
    return NodeSpec(name, operands, module, module == name, target, options, layer.init, layer.freeze)


def _inputs(inputs: Any) -> dict[str, Symbol]:
    """Inputs by argument name.

    Raises:
        ConfigError: something that `Input` did not make, or two of one name.
    """
    pairs: list[tuple[str | None, Any]]
    if isinstance(inputs, Mapping):
        pairs = [(str(key), value) for key, value in inputs.items()]
    else:
        pairs = [(None, value) for value in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    if not pairs:
        raise ConfigError("a model needs an input")
    result: dict[str, Symbol] = {}
    for index, (key, symbol) in enumerate(pairs):
        if not isinstance(symbol, Symbol) or symbol.node is not None:
            raise ConfigError(f"the model's input is {symbol!r}", fix="make it with Input(shape)")
        name = key or symbol.name or ("x" if len(pairs) == 1 else f"x{index}")
        if (
            not name.isidentifier()
            or iskeyword(name)
            or name in ("self", "given", "torch", "error")
            or re.fullmatch(r"h\d+", name)
        ):
            raise ConfigError(f"an input cannot be named '{name}'", fix="choose another Python name")
        if name in result or any(symbol is other for other in result.values()):
            raise ConfigError(f"the input '{name}' is there twice")
        result[name] = symbol
    return result


def _like(outputs: Any, change: Any) -> Any:
    if isinstance(outputs, Mapping):
        return {str(key): change(value) for key, value in outputs.items()}
    return [change(value) for value in outputs] if isinstance(outputs, (list, tuple)) else change(outputs)


def _attach(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module under a dotted path, with empty modules on the way.

    Raises:
        ConfigError: the name is not allowed, taken, or lies inside another layer.
    """
    *ways, last = path.split(".")
    at = root
    for way in ways:
        if way not in at._modules:
            _check_name(at, way, path)
            at.add_module(way, nn.Module())
        at = at.get_submodule(way)
        if type(at) is not nn.Module:
            raise ConfigError(
                f"{path}: lies inside the layer '{way}', which has no place for it", fix="choose another name"
            )
    _check_name(at, last, path)
    at.add_module(last, module)


def _check_name(at: nn.Module, name: str, path: str) -> None:
    is_taken = hasattr(type(at), name) or hasattr(at, name) or name in ("inputs", "nodes", "outputs")
    if is_taken or not re.fullmatch(r"\w+", name):
        raise ConfigError(
            f"{path}: a layer cannot be named '{name}' here", fix="choose another name of letters, digits and _"
        )
