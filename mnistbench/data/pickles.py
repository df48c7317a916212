"""Pickled batches read as data: nothing that a pickle names is imported or called.

The standard unpickler builds whatever the file asks for, so that a tampered one runs code, and a
damaged one can ask for any amount of memory. Here the stream's operations are walked one by one.
Only those that a dictionary of numbers, texts and NumPy byte arrays needs are known, and the
arrays are described, not rebuilt by NumPy's own hooks.

A `pickle.Unpickler` whose `find_class` admits only the four names of the official files would be a
tenth as long, and runs no foreign code either. But nine bytes that store something at place 2**28
of its memo make it take 4 GB, and twenty that call the admitted `ndarray` with a shape, any amount.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mnistbench.data.arrays import Bytes

_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_NDARRAY = "numpy ndarray"
_DTYPE = "numpy dtype"


_MOST_OPERATIONS = 500_000
"""A batch of CIFAR-10 has 40,000."""
_DEEPEST_TUPLE = 3


class PickleError(ValueError):
    """The stream is damaged, or holds what no official file does."""


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Uint8:
    pass


@dataclass
class PickledArray:
    """An array of bytes as the stream describes it."""

    shape: tuple[int, ...] = ()
    fortran_order: bool = False
    content: bytes | None = None

    def array(self) -> Bytes:
        """Return the array; raise PickleError if its bytes do not fill its shape."""
        if not self.content:
            raise PickleError("an array without content")
        if len(self.content) != prod(self.shape):
            raise PickleError(f"{len(self.content)} bytes for an array of shape {self.shape}")
        order = "F" if self.fortran_order else "C"
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order=order)  # type: ignore[call-overload,no-any-return]


def read_pickle(content: bytes) -> Any:
    """Return the value that the stream describes; raise PickleError.

    Texts and byte strings are both returned as bytes, arrays as PickledArray.
    """
    machine = _Machine()
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
            if number >= _MOST_OPERATIONS:
                raise PickleError(f"more than {_MOST_OPERATIONS:,} operations")
            act = _ACTIONS.get(operation.name)
            if act is None:
                raise PickleError(f"the operation {operation.name}, which no official file has")
            act(machine, argument)
        return machine.pop()
    except PickleError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(f"damaged: {str(error)[:200]}") from None


class _Tuple(tuple[Any, ...]):
    """A tuple that knows how many there are inside each other."""

    depth: int


_CONTAINERS = (dict, list, tuple)


class _Machine:
    """The stack and the memo that a pickle's operations work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push_tuple(values[::-1])

    def push_tuple(self, values: list[Any]) -> None:
        made = _Tuple(values)
        made.depth = 1 + max((v.depth for v in values if isinstance(v, _Tuple)), default=0)
        if made.depth > _DEEPEST_TUPLE:
            raise PickleError("tuples inside each other, deeper than in any official file")
        self.stack.append(made)

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise PickleError("items for what is no list")
        if any(isinstance(value, _CONTAINERS) for value in values):
            raise PickleError("a list of anything but numbers and texts")
        target += values

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise PickleError("keys for what is no dictionary")
        # What else can be a key takes any time to be compared, as tuples in tuples do.
        if not all(isinstance(key, bytes) for key in values[::2]):
            raise PickleError("keys that are no texts")
        if any(isinstance(value, dict) for value in values):
            raise PickleError("a dictionary inside a dictionary")
        target.update(zip(values[::2], values[1::2], strict=True))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        name = function.name if isinstance(function, _Global) else repr(type(function).__name__)
        if name in _RECONSTRUCT and arguments[0] == _Global(_NDARRAY):
            self.stack.append(PickledArray())
        elif name == _DTYPE and arguments[0] == b"u1":
            self.stack.append(_Uint8())
        else:
            raise PickleError(f"a call of {name} that no official file makes")

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, PickledArray):
            _, shape, kind, fortran_order, content = state
            if not (isinstance(kind, _Uint8) and isinstance(content, bytes)):
                raise PickleError("an array of anything but bytes")
            target.shape = tuple(int(size) for size in shape)
            target.fortran_order = bool(fortran_order)
            target.content = content
        elif not isinstance(target, _Uint8):
            raise PickleError("a state for what has none")

    def push_global(self, name: str) -> None:
        if name not in (*_RECONSTRUCT, _NDARRAY, _DTYPE):
            raise PickleError(f"the name {name!r}, which no official file has")
        self.stack.append(_Global(name))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.push_global(f"{module.decode()} {name.decode()}")


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _push_text(machine: _Machine, value: str) -> None:
    machine.stack.append(value.encode("latin-1"))


def _push_unicode(machine: _Machine, value: str) -> None:
    machine.stack.append(value.encode())


_Action = Callable[[_Machine, Any], None]

_ACTIONS: dict[str, _Action] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, a: None),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "BINBYTES", "SHORT_BINBYTES"), _push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _push_text),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), _push_unicode),
    **dict.fromkeys(
        ("BINPUT", "LONG_BINPUT"), lambda m, index: m.memo.update({index: m.stack[-1]})
    ),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, index: m.stack.append(m.memo[index])),
    "MEMOIZE": lambda m, a: m.memo.update({len(m.memo): m.stack[-1]}),
    "NONE": _push,
    "NEWTRUE": lambda m, a: m.stack.append(True),
    "NEWFALSE": lambda m, a: m.stack.append(False),
    "MARK": lambda m, a: m.marks.append(len(m.stack)),
    "EMPTY_DICT": lambda m, a: m.stack.append({}),
    "EMPTY_LIST": lambda m, a: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, a: m.stack.append(()),
    "TUPLE": lambda m, a: m.push_tuple(m.pop_mark()),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "APPEND": lambda m, a: m.append([m.pop()]),
    "APPENDS": lambda m, a: m.append(m.pop_mark()),
    "SETITEM": lambda m, a: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, a: m.set_items(m.pop_mark()),
    "GLOBAL": lambda m, name: m.push_global(name),
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.reduce(),
    "BUILD": lambda m, a: m.build(),
}
"""What each operation of the stream does; all others are refused."""
