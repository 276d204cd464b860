"""What a torch pickle asks for, found out without unpickling it.

torch's ``weights_only`` unpickler builds tensors and plain containers and refuses other names. What it lets through is
more than weights need (it calls ``bytearray(10**12)``, and any codec on any text). Here a pickle is read step by step
first: the only steps are those that torch itself writes, and the only names those below.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO, NoReturn

from scirs_neural.core.errors import RefusedError
from scirs_neural.guard.budgets import BUDGETS
from scirs_neural.guard.names import shown

_NAMES = re.compile(
    r"collections (?:OrderedDict|Counter)"
    r"|(?:builtins|__builtin__) (?:set|complex|bytearray)"
    r"|_codecs encode"
    r"|torch (?:Size|device|Tensor|\w+Storage|per_\w+|b?float[0-9_a-z]+|q?u?int\d+\w*|b?complex\d+|bool|bits\w+)"
    r"|torch\.storage (?:Untyped|Typed)Storage"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout"
    r"|torch\._tensor _rebuild_from_type_v2"
    r"|torch\._utils _rebuild_(?:parameter|parameter_with_state|tensor|tensor_v2|tensor_v3|qtensor|sparse_tensor"
    r"|meta_tensor_no_storage|device_tensor_from_numpy|device_tensor_from_cpu_tensor)"
)
# Calls that make bytes, and could make any number of them: only with a text and latin1, which is how bytes are written.
# One letter a step: F encode, B bytearray, t a text, l the text "latin1", 1 2 ) tuples, R a call.
_MAKES_BYTES = {"_codecs encode": b"F", "builtins bytearray": b"B", "__builtin__ bytearray": b"B"}
_HONEST_CALLS = re.compile(rb"B(?:F[tl]l2R1R|\)R)|F[tl]l2R")
_DISHONEST_CALL = re.compile(rb"[BF]")
_ENCODINGS = (b"latin1", b"latin-1")

# Steps without a value: containers, tuples, constants, calls, and looking up storages.
_BARE = dict.fromkeys(b"RbaesuN(]})t\x85\x86\x87\x88\x89\x8fQ.", b".") | {
    ord("R"): b"R", ord(")"): b")", 0x85: b"1", 0x86: b"2",
}  # fmt: skip
_SIZES = {ord("J"): 4, ord("K"): 1, ord("M"): 2, ord("G"): 8, 0x80: 1}  # numbers, the protocol
_COUNTED = (0x8A, ord("U"))  # long numbers, short bytes: one byte says how many follow
_GLOBAL, _TEXT, _STOP = ord("c"), ord("X"), ord(".")
_GET, _LONG_GET, _PUT, _LONG_PUT = b"hjqr"
_LONGEST_NAME = 200


def scan(file: BinaryIO, where: str) -> int:
    """Read one pickle to its end and judge every step.

    Args:
        file: at the pickle's first byte; afterwards, behind its last.
        where: what to call it in errors.

    Returns:
        The number of steps.

    Raises:
        RefusedError: it would call what is not needed for weights, or is damaged or too long.

    Example:
        >>> import io, math, pickle
        >>> scan(io.BytesIO(pickle.dumps({"a": 1}, protocol=2)), "here")
        8
        >>> scan(io.BytesIO(pickle.dumps(math.sqrt, protocol=2)), "here")
        Traceback (most recent call last):
        scirs_neural.core.errors.RefusedError: refused, and nothing of it was run: it wants to call math.sqrt
          from   here
          fix    get the weights as .safetensors, or as a plain state_dict
    """
    try:
        return _scan(file, where)
    except (struct.error, IndexError, EOFError, UnicodeDecodeError) as error:
        raise RefusedError("refused: a pickle in it is damaged", where=where) from error


def _scan(file: BinaryIO, where: str) -> int:
    read = file.read
    kept: dict[int, bytes] = {}
    letters = bytearray()
    letter = b"."
    for steps in range(1, BUDGETS.pickle_steps + 1):
        step = read(1)[0]
        if step in _BARE:
            letter = _BARE[step]
            if step == _STOP:
                if _DISHONEST_CALL.search(_HONEST_CALLS.sub(b"", bytes(letters))):
                    _refuse("it wants to make bytes from something else than a text", where)
                return steps
        elif step in (_PUT, _LONG_PUT):
            kept[read(1)[0] if step == _PUT else struct.unpack("<I", read(4))[0]] = letter
            continue
        elif step in (_GET, _LONG_GET):
            letter = kept.get(read(1)[0] if step == _GET else struct.unpack("<I", read(4))[0], b".")
        elif step == _TEXT:
            size = struct.unpack("<I", read(4))[0]
            text = read(min(size, BUDGETS.pickle_bytes))
            if len(text) != size:
                raise EOFError
            letter = b"l" if text in _ENCODINGS else b"t"
        elif step == _GLOBAL:
            name = f"{_line(file)} {_line(file)}"
            if not _NAMES.fullmatch(name):
                _refuse(f"it wants to call {shown(name.replace(' ', '.'), 120)[1:-1]}", where)
            letter = _MAKES_BYTES.get(name, b".")
        elif step in _SIZES or step in _COUNTED:
            size = _SIZES[step] if step in _SIZES else read(1)[0]
            if len(read(size)) != size:
                raise EOFError
            letter = b"."
        else:
            _refuse(f"its pickle has the step {step:#x}, which torch does not write", where)
        letters += letter
    return _refuse(f"its pickle has more than {BUDGETS.pickle_steps:,} steps", where)


def _line(file: BinaryIO) -> str:
    line = file.readline(_LONGEST_NAME)
    if not line.endswith(b"\n"):
        raise EOFError
    return line[:-1].decode()


def _refuse(what: str, where: str) -> NoReturn:
    fix = "get the weights as .safetensors, or as a plain state_dict"
    raise RefusedError(f"refused, and nothing of it was run: {what}", where=where, fix=fix)
