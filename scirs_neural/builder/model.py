"""The network itself: an `nn.Module` whose ``forward`` is straight-line code, written once from the graph.

The code of a two-layer net is what a person would write::

    def forward(self, x):
        x = self.hidden(x)
        x = self.head(x)
        return x

so it runs at the same speed, compiles without graph breaks, exports and traces. ``model.code`` shows it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

import torch
from torch import Tensor, nn

from scirs_neural.builder.leaf import meta_copy
from scirs_neural.builder.operations import OPERATIONS
from scirs_neural.builder.order import in_order, named
from scirs_neural.builder.symbol import Step, Symbol, evaluate, first_sentence, show_shape
from scirs_neural.core.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class InputFact:
    """One argument of ``forward``: its name, shape without the batch, and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Line:
    """One line of the network, as plain data.

    ``module`` is the path of the layer that it calls ("" for an operation), ``first`` whether no line before calls it.
    ``target`` is the registry name of the layer or operation, None where only a module object is known.
    """

    name: str
    operands: tuple[str | float, ...]
    module: str
    first: bool
    target: str | None
    options: Mapping[str, Any]
    init: Any = None
    freeze: bool = False


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

    def __init__(self, inputs: Any, outputs: Any) -> None:
        super().__init__()
        symbols = _inputs(inputs)
        steps = in_order(list(symbols.values()), list(_flat(outputs)))
        names = named(steps, set(symbols))
        values = {id(symbol): name for name, symbol in symbols.items()}
        lines: list[Line] = []
        called: dict[int, str] = {}
        for step, symbol in steps:
            line = _line(step, names[id(symbol)], values, called)
            values[id(symbol)] = line.name
            if line.first and step.leaf is not None and step.leaf.module is not None:
                _attach(self, line.module, step.leaf.module)
            lines.append(line)
        facts = [InputFact(n, tuple(s.value.shape[1:]), str(s.value.dtype)[6:]) for n, s in symbols.items()]
        self._finish(facts, lines, _like(outputs, lambda symbol: values[id(symbol)]))

    def _finish(self, inputs: list[InputFact], lines: list[Line], outputs: Any) -> None:
        self.inputs, self.lines, self.outputs = tuple(inputs), tuple(lines), outputs
        self._become(write_code(self.inputs, self.lines, self.outputs))

    def _become(self, code: str) -> None:
        """Take on a class of one's own that has this ``forward``, as torch.fx's GraphModule does."""
        self.code = code
        self.__class__ = _class_with(_base(type(self)), code)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (_base(type(self)), self.code), dict(self.__dict__)

    def to_spec(self) -> dict[str, Any]:
        """The network as plain data; `build` makes an equal one of it.

        Raises:
            ConfigError: a layer is known only as an object, or has an option that is no plain data.
        """
        from scirs_neural.builder.files import to_spec  # files builds models

        return to_spec(self)

    def to_yaml(self) -> str:
        """`to_spec` as YAML."""
        from scirs_neural.builder.files import to_yaml

        return to_yaml(self)

    def to_json(self) -> str:
        """`to_spec` as JSON."""
        from scirs_neural.builder.files import to_json

        return to_json(self)

    def summary(self) -> str:
        """Layer, output shape, parameters, MACs and share, as a table."""
        from scirs_neural.builder.table import summary

        return str(summary(self))

    def explain(self, error: Exception, given: Sequence[Any]) -> None:
        """Say in our words which line an input fails at, if its shape is to blame; else give back quietly.

        The lines are run again without memory on the meta device, so nothing but shapes and dtypes can fail there.

        Raises:
            ShapeError: with the layer's path, and what came to it.
        """
        if torch.compiler.is_compiling() or not all(isinstance(x, Tensor) for x in given):
            return
        probe = meta_copy(self)
        names = [fact.name for fact in self.inputs]
        values: dict[str, Any] = {name: x.detach().to("meta") for name, x in zip(names, given, strict=True)}
        for line in self.lines:
            operands = [values[x] if isinstance(x, str) else x for x in line.operands]
            try:
                with torch.no_grad():
                    values[line.name] = probe._one(line, operands)
            except (RuntimeError, IndexError, ValueError, TypeError):
                shapes = " and ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else show_shape(x) for x in operands)
                what = f"{line.module or line.name}: '{line.target or 'layer'}' cannot take {shapes}"
                raise ShapeError(what, fix=f"{self._expected()}; {first_sentence(error)}") from error

    def _one(self, line: Line, operands: list[Any]) -> Any:
        if line.module:
            return self.get_submodule(line.module)(*operands)
        return evaluate(str(line.target), operands, line.options)

    def _expected(self) -> str:
        sizes = [f"{fact.name} (N, {', '.join(map(str, fact.shape))})" for fact in self.inputs]
        return f"the net was built for {', '.join(sizes)}"


def write_code(inputs: Sequence[InputFact], lines: Sequence[Line], outputs: Any) -> str:
    """The source of ``forward``. Variables are used again once their value is not needed, so memory is freed early."""
    last: dict[str, int] = {}
    for index, line in enumerate(lines):
        last.update({x: index for x in line.operands if isinstance(x, str)})
    last.update({name: len(lines) for name in _flat(outputs)})
    arguments = [fact.name for fact in inputs]
    variable = {name: name for name in arguments}
    free: list[str] = []
    body: list[str] = []
    for index, line in enumerate(lines):
        operands = [variable[x] if isinstance(x, str) else repr(x) for x in line.operands]
        for name in dict.fromkeys(x for x in line.operands if isinstance(x, str)):
            if last[name] == index:
                free.insert(0, variable[name])
        target = free.pop(0) if free else f"h{len(set(variable.values()))}"
        variable[line.name] = target
        code = (
            OPERATIONS[str(line.target)].code(operands, line.options)
            if not line.module
            else _call(line.module, operands)
        )
        body.append(f"{target} = {code}")
    result = _returned(outputs, variable)
    text = "\n".join(f"        {row}" for row in body) or "        pass"
    listed = ", ".join(arguments)
    return (
        f"def forward(self, {listed}):\n    given = ({listed},)\n    try:\n{text}\n"
        f"    except (RuntimeError, IndexError, ValueError) as error:\n"
        f"        self.explain(error, given)\n        raise\n    return {result}\n"
    )


def _call(path: str, operands: list[str]) -> str:
    if path.isidentifier() and not iskeyword(path):
        return f"self.{path}({', '.join(operands)})"
    inside = "".join(
        f"._modules[{part!r}]" for part in path.split(".")
    )  # no Python call a step, as attributes would be
    return f"self{inside}({', '.join(operands)})"


def _returned(outputs: Any, variable: Mapping[str, str]) -> str:
    if isinstance(outputs, str):
        return variable[outputs]
    if isinstance(outputs, Mapping):
        return "{" + ", ".join(f"{key!r}: {variable[name]}" for key, name in outputs.items()) + "}"
    return "(" + ", ".join(variable[name] for name in outputs) + ",)"


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


def _base(cls: type[Model]) -> type[Model]:
    """The class that a person wrote."""
    return cls.__bases__[0] if "_is_written" in vars(cls) else cls


def _revive(base: type[Model], code: str) -> Model:
    cls = _class_with(base, code)
    return cls.__new__(cls)


def _line(step: Step, name: str, values: Mapping[int, str], called: dict[int, str]) -> Line:
    operands = tuple(values[id(x)] if isinstance(x, Symbol) else x for x in step.operands)
    if step.leaf is None:
        return Line(name, operands, "", False, step.operation, dict(step.options))
    leaf = step.leaf
    first = id(leaf) not in called
    module = called.setdefault(id(leaf), name)
    options: dict[str, Any] = {} if isinstance(leaf.spec, nn.Module) else dict(leaf.options)
    target = None if isinstance(leaf.spec, nn.Module) else leaf.registered_name()
    return Line(name, operands, module, first, target, options, leaf.init, leaf.freeze)


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
        if not isinstance(symbol, Symbol) or symbol.step is not None:
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


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


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
    if not re.fullmatch(r"\w+", name) or hasattr(at, name) or name in ("inputs", "lines", "outputs", "code"):
        raise ConfigError(
            f"{path}: a layer cannot be named '{name}' here", fix="choose another name of letters, digits and _"
        )
