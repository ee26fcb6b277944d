"""Descriptions of tensors in a pickle, as plain values; checked for sense, not against a file. No torch; any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generator.checkpoints.faults import AGAIN, Fault

MAX_DIMENSIONS = 8
MAX_KEY_LENGTH = 200

STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers elsewhere in the file: `count` of them, beginning with number `first` of those under `key`."""

    key: str
    dtype: str
    count: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A view of a storage; offset and stride count elements of `dtype`, a name of torch's such as `float16`."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Foreign:
    """Placeholder for any other name in a pickle: it keeps the name and its state, and does nothing."""

    __slots__ = ("name", "state")

    def __init__(self, name: str) -> None:
        self.name = name[:MAX_KEY_LENGTH]
        self.state: Any = None


def storage_of(reference: object) -> Storage | Foreign:
    """Read the storage of a persistent id: `("storage", type, key, device, count[, view])`, as torch.save writes it.

    The view, of the legacy format, is `(key, first, count)`.

    Raises:
        Fault: if its numbers make no sense.
    """
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        return Foreign("persistent")
    kind, key, count = reference[1], reference[2], reference[4]
    dtype = STORAGE_DTYPES.get(kind.name.rpartition(" ")[2].lstrip("_")) if isinstance(kind, Foreign) else None
    if dtype is None or not isinstance(key, str) or len(key) > MAX_KEY_LENGTH:
        return Foreign("storage")
    view = reference[5] if len(reference) > 5 and reference[5] is not None else (key, 0, count)
    if not (_whole(count) and isinstance(view, tuple) and len(view) == 3 and _whole(view[1]) and _whole(view[2])):
        raise Fault(f"describes a storage that cannot be; {AGAIN} from a source you trust.")
    return Storage(key, dtype, view[2], view[1])


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor | Foreign:
    """Describe `torch._utils._rebuild_tensor`, `_v2` (hooks) and `_v3` (the dtype is the seventh argument)."""
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        return Foreign("tensor")
    storage, offset, shape, stride = arguments[:4]
    dtype = storage.dtype
    if len(arguments) > 6 and isinstance(arguments[6], Foreign):
        dtype = arguments[6].name.rpartition(" ")[2]
    if not (
        _whole(offset)
        and isinstance(shape, tuple)
        and isinstance(stride, tuple)
        and len(shape) == len(stride) <= MAX_DIMENSIONS
        and all(map(_whole, shape + stride))
    ):
        raise Fault(f"describes a tensor that cannot be; {AGAIN} from a source you trust.")
    return StoredTensor(storage, dtype, offset, shape, stride)


def _first(arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - it returns its own argument
    return arguments[0] if arguments else Foreign("?")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


# The only names in a pickle that mean more than a placeholder, besides those of mappings.
BUILDERS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor_v3": _tensor,
    "torch._utils _rebuild_parameter": _first,
    "torch._utils _rebuild_parameter_with_state": _first,
    "torch.nn.parameter Parameter": _first,
    "torch Size": _first,
}
MAPPINGS = frozenset(
    (
        "collections OrderedDict",
        "collections defaultdict",
        "collections Counter",
        "builtins dict",
        "__builtin__ dict",
    )
)
