"""What a torch pickle asks for, found out without unpickling it.

torch's ``weights_only`` unpickler builds tensors and plain containers and refuses other names. What it lets through is
more than weights need (``bytearray(10**12)``, any codec on any text), and it pays for whatever a file repeats: a
dictionary of a megabyte copied a thousand times, a tuple of tuples of tuples whose hash takes years. Here a pickle is
first gone through step by step, as its reader would, but with the cost of each value in place of the value. The only
steps are those that torch itself writes, the only names those below, and everything is paid for from one budget.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NoReturn

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard.budgets import BUDGETS, KIB
from scirs_neural.guard.names import shown

_CONTAINERS = r"collections (?:OrderedDict|Counter)|(?:builtins|__builtin__) set|torch Size"
_REBUILDS = (
    r"torch\._tensor _rebuild_from_type_v2"
    r"|torch\._utils _rebuild_(?:parameter|parameter_with_state|tensor|tensor_v2|tensor_v3|qtensor|sparse_tensor"
    r"|meta_tensor_no_storage|device_tensor_from_numpy|device_tensor_from_cpu_tensor)"
    r"|torch device|torch\.serialization _get_layout|(?:builtins|__builtin__) complex"
)
_BYTES = r"_codecs encode|(?:builtins|__builtin__) bytearray"
_VALUES = (
    r"torch (?:Tensor|\w+Storage|per_\w+|b?float[0-9_a-z]+|q?u?int\d+\w*|b?complex\d+|bool|bits\w+)"
    r"|torch\.storage (?:Untyped|Typed)Storage|torch\.nn\.parameter Parameter"
)
_NAMESPACE = "argparse Namespace"  # of the command line, in checkpoints of timm, DETR and many others
_IS_CONTAINER, _IS_REBUILD = re.compile(_CONTAINERS), re.compile(_REBUILDS)
_NAMES = re.compile("|".join((_CONTAINERS, _REBUILDS, _BYTES, _VALUES, _NAMESPACE)))
_FROM_TYPE, _ENCODE = "torch._tensor _rebuild_from_type_v2", "_codecs encode"
_ENCODINGS = (b"latin1", b"latin-1")

_SIZES = {ord("J"): 4, ord("K"): 1, ord("M"): 2, ord("G"): 8}  # numbers
_ONE = b"N\x88\x89"  # None, True, False
_EMPTY = b"]}\x8f"
_TUPLES = {0x85: 1, 0x86: 2, 0x87: 3}
_LONGEST_NAME = 200
_WIDE_INT_BYTES, _WIDE_INT_COST = 8, 1000  # of these many can have one hash, and a dictionary of them takes for ever
_NUMBERS_KEY_COST = 500  # of tuples of numbers too
_CONTAINER_COST = 3  # more than a number
_TEXT_A_VALUE = 8  # bytes of text that are copied in the time of one value
_BYTES_A_STEP = 4  # a tensor of one number has about 60 steps, and its member of the zip 250 bytes
_FIRST_READ = 64 * KIB

# What stands for a value: its cost to be copied or hashed; for a list, dict or set, which may still grow, a negative
# number, its place in the machine's table; for a tuple, that cost, its parts and its levels; a text itself; for a name,
# a str.
_Value = int | tuple[int, tuple["_Value", ...], int] | bytes | str


def scan(file: BinaryIO, where: str, beside: int = 0) -> int:
    """Go through one pickle to its end and judge every step.

    Args:
        file: at the pickle's first byte; afterwards, behind its last.
        where: what to call it in errors.
        beside: bytes of tensors that lie beside it: each may have its steps, and they are what an attack must bring.

    Returns:
        What reading it costs, in steps.

    Raises:
        RefusedError: it would call what is not needed for weights, is damaged, or costs too much.

    Example:
        >>> import io, math, pickle
        >>> scan(io.BytesIO(pickle.dumps({"a": 1}, protocol=2)), "here")
        12
        >>> scan(io.BytesIO(pickle.dumps(math.sqrt, protocol=2)), "here")
        Traceback (most recent call last):
        scirs_neural.core.errors.RefusedError: refused, and nothing of it was run: it wants to call math.sqrt
          from   here
          fix    get the weights as .safetensors, or as a plain state_dict
    """
    start, size = file.tell(), _FIRST_READ
    limit = BUDGETS.pickle_steps + beside // _BYTES_A_STEP
    while True:
        file.seek(start)
        content = file.read(size)
        machine = _Machine(content, where, limit)
        try:
            machine.run()
        except (IndexError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
            if len(content) == size and machine.place >= size and size < BUDGETS.pickle_bytes:
                size = min(16 * size, BUDGETS.pickle_bytes)  # it goes on behind what was read
                continue
            raise RefusedError("refused: a pickle in it is damaged", where=where) from error
        file.seek(start + machine.place)
        return machine.cost


class _Machine:
    """The stack of an unpickler, with costs in place of values."""

    def __init__(self, content: bytes, where: str, limit: int) -> None:
        self.content, self.where, self.limit = content, where, limit
        self.place = self.cost = 0
        self.stack: list[_Value] = []
        self.marks: list[int] = []
        self.kept: dict[int, _Value] = {}
        self.grown = [0]  # the cost of containers; the first is nobody's

    def run(self) -> None:
        """Go to the end of the pickle; an error that is not ours means that it is damaged."""
        content, stack, kept = self.content, self.stack, self.kept
        limit = self.limit
        while True:
            step = content[self.place]
            self.place += 1
            self.cost += 1
            if self.cost > limit:
                _refuse(f"its pickle costs more than {limit:,} steps to read", self.where)
            if step in b"hq":  # what is remembered under a short number, and what is to be
                number = content[self.place]
                self.place += 1
                if step == 0x68:
                    stack.append(kept[number])
                else:
                    kept[number] = stack[-1]
            elif step in b"jr":
                number = int.from_bytes(self.take(4), "little")
                if step == 0x6A:
                    stack.append(kept[number])
                else:
                    kept[number] = stack[-1]
            elif step == 0x58:  # X, a text
                start = self.place + 4
                self.place = start + int.from_bytes(content[start - 4 : start], "little")
                if self.place > len(content):
                    raise IndexError
                stack.append(content[start : self.place])
            elif step in _SIZES:
                self.place += _SIZES[step]
                stack.append(1)
            elif step in _ONE:
                stack.append(1)
            elif step in _TUPLES:
                self.make_tuple(len(stack) - _TUPLES[step])
            elif step == 0x28:  # (
                self.marks.append(len(stack))
            elif step == 0x74:  # t
                self.make_tuple(self.marks.pop())
            elif step in _EMPTY:
                self.make_container(1)
            elif step == 0x29:  # )
                stack.append((1, (), 1))
            elif self.ended(step):
                return

    def ended(self, step: int) -> bool:
        """The rarer steps; whether this was the last one."""
        stack = self.stack
        if step == 0x2E:  # .
            if len(stack) != 1 or self.marks:
                raise IndexError
            return True
        if step == 0x63:  # c
            name = f"{self.line()} {self.line()}"
            if not _NAMES.fullmatch(name):
                _refuse(f"it wants to call {shown(name.replace(' ', '.'), 120)[1:-1]}", self.where)
            stack.append(name)
        elif step == 0x52:  # R
            arguments, called = stack.pop(), stack.pop()
            stack.append(self.call(called, arguments))
        elif step == 0x75:  # u
            self.set_items(self.marks.pop())
        elif step == 0x73:  # s
            self.set_items(len(stack) - 2)
        elif step == 0x65:  # e
            self.extend(self.marks.pop())
        elif step == 0x61:  # a
            self.extend(len(stack) - 1)
        elif step == 0x62:  # b
            self.cost += self.cost_of(stack.pop())
            if not isinstance(stack[-1], int):
                raise TypeError
        elif step == 0x51:  # Q, a storage
            self.cost += self.cost_of(stack.pop())
            stack.append(1)
        elif step == 0x81:
            if (stack.pop(), stack.pop()) != ((1, (), 1), _NAMESPACE):
                _refuse("its pickle makes an object, and of no kind that is known", self.where)
            self.make_container(1)
        elif step == 0x8A:  # a whole number of any size
            size = self.take(1)[0]
            self.take(size)
            stack.append(1 if size <= _WIDE_INT_BYTES else _WIDE_INT_COST)
        elif step == 0x55:  # U, a short text of Python 2
            stack.append(self.take(self.take(1)[0]))
        elif step == 0x80:
            self.take(1)
        else:
            _refuse(f"its pickle has the step {step:#x}, which torch does not write", self.where)
        return False

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > BUDGETS.pickle_bytes:
            raise IndexError
        found = self.content[self.place : self.place + size]
        self.place += size
        if len(found) != size:
            raise IndexError
        return found

    def line(self) -> str:
        """The next line."""
        end = self.content.find(b"\n", self.place, self.place + _LONGEST_NAME)
        if end < 0:
            self.place += _LONGEST_NAME
            raise IndexError
        found = self.content[self.place : end]
        self.place = end + 1
        return found.decode()

    def pop_from(self, start: int) -> list[_Value]:
        """What lies on the stack from a place on."""
        if not 0 <= start <= len(self.stack):
            raise IndexError
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def make_tuple(self, start: int) -> None:
        """Put what lies there into a tuple, whose hash goes through all of it each time that it is asked for.

        The hash calls itself for every level, and Python does not count how deep; lists, which have none, are counted
        when they are there.
        """
        parts = self.pop_from(start)
        levels = 1 + max((part[2] for part in parts if isinstance(part, tuple)), default=0)
        if levels > BUDGETS.depth:
            _refuse(f"it is nested deeper than {BUDGETS.depth}", self.where)
        self.stack.append((1 + sum(map(self.cost_of, parts)), tuple(parts), levels))

    def make_container(self, cost: int) -> None:
        """Put a list, dict or set on the stack."""
        self.cost += _CONTAINER_COST
        self.stack.append(-len(self.grown))
        self.grown.append(cost)

    def set_items(self, start: int) -> None:
        """Put keys and values into a dictionary: keys are hashed."""
        items = self.pop_from(start)
        if len(items) % 2:
            raise IndexError
        self.grow(len(items) // 2)
        self.cost += sum(map(self.hash_cost, items[::2]))

    def extend(self, start: int) -> None:
        """Put values into a list. If a set is made of it, they will be hashed."""
        self.grow(sum(map(self.hash_cost, self.pop_from(start))))

    def grow(self, cost: int) -> None:
        """Let the container on top cost more."""
        top = self.stack[-1]
        if not isinstance(top, int) or top >= 0:
            raise TypeError
        self.grown[-top] += cost

    def call(self, called: _Value, arguments: _Value) -> _Value:
        """What a call gives; it costs what it is given."""
        if not isinstance(called, str) or not isinstance(arguments, tuple):
            raise TypeError
        self.cost += arguments[0]
        parts = arguments[1]
        if _IS_CONTAINER.fullmatch(called):
            if len(parts) > 1 or isinstance(parts[0] if parts else 0, bytes | str):
                _refuse(f"it makes a {called.partition(' ')[2]} of something else than a list", self.where)
            self.make_container(arguments[0])
            return self.stack.pop()
        if called == _FROM_TYPE:
            self.call(parts[0], parts[2])
            return 1
        if _IS_REBUILD.fullmatch(called):
            return arguments[0]
        if called == _ENCODE and len(parts) == 2 and parts[1] in _ENCODINGS and isinstance(parts[0], bytes):
            return parts[0]
        if called.endswith(" bytearray") and (not parts or (len(parts) == 1 and isinstance(parts[0], bytes))):
            return 1
        if called.endswith((" bytearray", " encode")):
            _refuse("it wants to make bytes from something else than a text", self.where)
        return _refuse(f"it wants to call {called.replace(' ', '.')}", self.where)

    def cost_of(self, value: _Value) -> int:
        """What copying a value costs, and hashing it again and again."""
        if isinstance(value, int):
            return value if value >= 0 else self.grown[-value]
        if isinstance(value, bytes):
            return 1 + len(value) // _TEXT_A_VALUE
        return 1 if isinstance(value, str) else value[0]

    def hash_cost(self, value: _Value) -> int:
        """A text's hash is found once, and whoever writes a file cannot foresee it; a tuple's he can."""
        if isinstance(value, tuple):
            is_text = any(isinstance(part, bytes) for part in value[1])
            return value[0] if is_text else value[0] + _NUMBERS_KEY_COST
        return 1 if isinstance(value, bytes) else self.cost_of(value)


def _refuse(what: str, where: str) -> NoReturn:
    fix = "get the weights as .safetensors, or as a plain state_dict"
    raise RefusedError(f"refused, and nothing of it was run: {what}", where=where, fix=fix)
