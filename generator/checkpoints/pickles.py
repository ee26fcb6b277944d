"""Pickles read as data: a pickle becomes plain values and inert placeholders; nothing runs.

Python's own unpickler imports the names in a pickle and calls them, so a model file can take over a machine. Here the
opcodes, which `pickletools` parses, are interpreted on a stack of plain values. No name is ever looked up and nothing
is ever called: the few names that rebuild tensors become descriptions of tensors, mappings become dicts, and every
other name becomes a `Foreign` that keeps only the name. Needs no torch; any thread.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from generator.checkpoints.descriptions import BUILDERS, MAPPINGS, Foreign, Storage, storage_of
from generator.checkpoints.faults import AGAIN, Fault

MAX_PICKLE_BYTES = 64 * 2**20
MAX_OPERATIONS = 4_000_000


class Window:
    """A bounded part of a file, with the methods that `pickletools` needs: `read`, `readline`, `tell`.

    `data` is bytes or a memory map. Nothing is read past `MAX_PICKLE_BYTES`: no description of a model is as long.
    """

    def __init__(self, data: Any, start: int, end: int) -> None:  # noqa: ANN401 - bytes and mmap share no type
        self._data, self._at, self._end = data, start, end
        self._limit = start + MAX_PICKLE_BYTES

    def read(self, count: int) -> bytes:
        """Read the next bytes, fewer at the end."""
        return self._take(min(self._at + count, self._end))

    def readline(self) -> bytes:
        """Read to the next line feed, inclusive."""
        found = self._data.find(b"\n", self._at, min(self._end, self._limit))
        return self._take(self._end if found < 0 else found + 1)

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def _take(self, end: int) -> bytes:
        if end > self._limit:
            raise Fault(f"describes itself in more than {MAX_PICKLE_BYTES >> 20} MB, as no model does; do not use it.")
        taken = bytes(self._data[self._at : end])
        self._at = end
        return taken


def read_pickle(window: Window, dtypes: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - it can hold anything
    """Read one pickle as plain values, StoredTensor, Storage and Foreign; `window` then stands behind it.

    `dtypes` is filled with the dtype of every storage mentioned, by key, including storages without a tensor.

    Raises:
        Fault: if it is damaged, or larger than the description of any model.
    """
    machine = _Machine({} if dtypes is None else dtypes)
    try:
        # genops expects a binary file; Window has all the methods it uses.
        for number, (opcode, argument, _) in enumerate(pickletools.genops(window)):  # type: ignore[arg-type]
            if number + machine.copied > MAX_OPERATIONS:
                raise Fault("describes itself in more steps than any model needs; do not use it.")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, OverflowError, TypeError) as exc:
        raise Fault(f"is damaged or cut off ({str(exc)[:80]}); {AGAIN}.") from exc
    raise Fault(f"is cut off; {AGAIN}.")


class _Machine:
    """The stack, the marks and the memo of a pickle, and the effect of each opcode on them.

    Attributes:
        stack: the values above the last mark.
        copied: number of values copied without a separate opcode, counted as work.
    """

    def __init__(self, dtypes: dict[str, str]) -> None:
        self.stack: list[Any] = []
        self.copied = 0
        self._dtypes = dtypes
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:  # noqa: ANN401
        if opcode in _PUSHES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _NEW:
            self.stack.append(_NEW[opcode]())
        else:
            _STEPS[opcode](self, argument)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self._below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._below.pop()
        return items

    def put(self, key: int | None) -> None:
        self._memo[len(self._memo) if key is None else key] = self.stack[-1]

    def get(self, key: int) -> None:
        self.stack.append(self._memo[key])

    def call(self, function: object, arguments: object) -> None:
        """Push a placeholder for the result of a call that is not made."""
        name = function.name if isinstance(function, Foreign) else "something"
        given = arguments if isinstance(arguments, tuple) else ()
        if name in MAPPINGS:
            pairs = given[0] if name == "collections OrderedDict" and given else []
            self.copied += len(pairs)
            self.push(_mapping(pairs) if self.copied < MAX_OPERATIONS else {})
        else:
            build = BUILDERS.get(name)
            self.push(Foreign(name) if build is None else build(given))

    def reduce(self, _: object) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.call(function, arguments)

    def reduce_with_keywords(self, _: object) -> None:
        self.stack.pop()
        self.reduce(_)

    def persistent(self, _: object) -> None:
        storage = storage_of(self.stack.pop())
        if isinstance(storage, Storage) and self._dtypes.setdefault(storage.key, storage.dtype) != storage.dtype:
            raise Fault(f"gives one storage two kinds of numbers; {AGAIN} from a source you trust.")
        self.push(storage)

    def inst(self, name: str) -> None:
        self.call(Foreign(name), tuple(self.since_mark()))

    def obj(self, _: object) -> None:
        kind, *arguments = self.since_mark()
        self.call(kind, tuple(arguments))

    def stack_global(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name is no text")
        self.push(Foreign(f"{module[:100]} {name[:100]}"))

    def build(self, _: object) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Foreign):
            target.state = state

    def new_mapping(self, _: object) -> None:
        items = self.since_mark()
        self.push({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            target.update(_mapping(zip(items[::2], items[1::2], strict=True)))

    def set_item(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def add_items(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def fold(self, count: int) -> None:
        """Replace the uppermost `count` values by one tuple of them."""
        if len(self.stack) < count:
            raise IndexError("too few values")
        self.stack[-count:] = [tuple(self.stack[-count:])]


def _mapping(pairs: Any) -> dict[Any, Any]:  # noqa: ANN401
    """Build a dict of the pairs with a plain key: hashing any other key can be made to overflow."""
    plain = (str, int, float, bytes, type(None))
    return {pair[0]: pair[1] for pair in pairs if isinstance(pair[0], plain)}


# Opcodes with a number or a text as argument, by the ending of their names.
_PUSHES = tuple(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.name.endswith(("INT", "INT1", "INT2", "LONG", "LONG1", "LONG4", "FLOAT", "STRING", "UNICODE", "UNICODE8"))
    or opcode.name.endswith(("BYTES", "BYTES8", "BYTEARRAY8"))
)
_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
# A set would have to hash its elements, so it is kept as a list.
_NEW: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "READONLY_BUFFER"), lambda machine, _: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "PERSID"), lambda machine, _: machine.push(Foreign("?"))),
    **dict.fromkeys(("TUPLE", "FROZENSET"), lambda machine, _: machine.push(tuple(machine.since_mark()))),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: machine.add_items(machine.since_mark())),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.reduce),
    "NEWOBJ_EX": _Machine.reduce_with_keywords,
    "OBJ": _Machine.obj,
    "INST": _Machine.inst,
    "GLOBAL": lambda machine, name: machine.push(Foreign(name)),
    "STACK_GLOBAL": _Machine.stack_global,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "MARK": _Machine.mark,
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.since_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "TUPLE1": lambda machine, _: machine.fold(1),
    "TUPLE2": lambda machine, _: machine.fold(2),
    "TUPLE3": lambda machine, _: machine.fold(3),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "DICT": _Machine.new_mapping,
    "APPEND": lambda machine, _: machine.add_items([machine.stack.pop()]),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
}
