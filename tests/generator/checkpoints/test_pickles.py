"""The pickle reader returns the same plain values as Python's own, and executes nothing."""

import collections
import os
import pickle
import pickletools
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.checkpoints.descriptions import Foreign, StoredTensor
from generator.checkpoints.faults import Fault
from generator.checkpoints.pickles import MAX_PICKLE_BYTES, Window, read_pickle
from generator.checkpoints.trees import find_tensors

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def read(content: bytes) -> object:
    return read_pickle(Window(content, 0, len(content)))


class Attack:
    """Create a file if Python unpickles it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PLAIN, st.integers(0, 5))
def test_plain_values_are_read_as_python_reads_them(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    if protocol < 3:
        # Before protocol 3 bytes are a call of _codecs.encode, which is not made.
        value = _without_bytes(value)
        content = pickle.dumps(value, protocol)
    assert read(content) == value


def _without_bytes(value: object) -> object:
    if isinstance(value, bytes):
        return None
    if isinstance(value, dict):
        return {key: _without_bytes(item) for key, item in value.items()}
    return type(value)(map(_without_bytes, value)) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_runs(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made"
    content = pickle.dumps({"state_dict": Attack(target), "x": [Attack(target)]}, protocol)
    found = read(content)
    assert not target.exists()
    assert isinstance(found["state_dict"], Foreign)
    with pytest.raises(FileExistsError):
        pickle.loads(content)  # noqa: S301 - proves that the pickle is malicious
    assert target.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch made'\ntR.",
        b"(S'touch made'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch made'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0atouch made\x85R.",
        b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00touch made\x85\x81.",
        b"\x80\x04cos\nsystem\nX\x0a\x00\x00\x00touch made\x85}\x92.",
        b'cbuiltins\nexec\n(S\'open("made","w")\'\ntR.',
        b"cbuiltins\ngetattr\n(cos\nfoo\nS'system'\ntR(S'touch made'\ntR.",
        b"ccollections\nOrderedDict\n)R}S'__class__'\ncos\nsystem\nsb.",
        b"\x80\x02\x82\x01.",
        b"Pos.system\n.",
        b"\x80\x02cos\nsystem\nQ.",
    ],
    ids=[
        "global",
        "inst",
        "obj",
        "stack global",
        "newobj",
        "newobj_ex",
        "exec",
        "getattr",
        "build",
        "ext",
        "persid",
        "binpersid",
    ],
)
def test_no_opcode_runs_anything(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read(content)
    assert list(tmp_path.iterdir()) == []


def test_every_opcode_is_known() -> None:
    known = set()
    for opcode in pickletools.opcodes:
        try:
            read(opcode.code.encode("latin-1") + b"1\n1\n" + bytes(16))
        except Fault as exc:
            if "KeyError" in repr(exc.__cause__) and opcode.name in str(exc.__cause__):
                continue
        known.add(opcode.name)
    assert known == {opcode.name for opcode in pickletools.opcodes}


def test_ordered_dicts_and_their_like_are_mappings_and_keep_the_order() -> None:
    value = collections.OrderedDict([("b", 1), ("a", 2)])
    value.note = "attributes are dropped"
    for protocol in range(6):
        assert list(read(pickle.dumps(value, protocol)).items()) == [("b", 1), ("a", 2)]
        assert read(pickle.dumps(collections.defaultdict(list, a=1), protocol)) == {"a": 1}


def test_a_tensor_is_described_and_not_made() -> None:
    head = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nHalfStorage\n"
    content = head + b"X\x01\x00\x00\x007X\x03\x00\x00\x00cpuK\x06tQK\x02K\x02K\x02\x86K\x02K\x01\x86\x89NtR."
    found = read(content)
    assert isinstance(found, StoredTensor)
    assert (found.storage.key, found.storage.count, found.dtype) == ("7", 6, "float16")
    assert (found.offset, found.shape, found.stride) == (2, (2, 2), (2, 1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02",
        b"}",
        b".",
        b"t.",
        b"0.",
        b"R.",
        b"NR.",
        b"h\x05.",
        b"\x93.",
        b"NN\x93.",
        b"\xff.",
        b"u.",
        b"(NNNu.",
        b"}(Nu.",
        b"b.",
        b"\x87.",
        b"X\xff\xff\xff\xffabc.",
        b"\x8d" + struct.pack("<Q", 2**60) + b".",
        b"I" + b"9" * 10_000 + b"\n.",
        b"S'not closed\n.",
        b"ccollections\nOrderedDict\n(K\x05tR.",
    ],
)  # fmt: skip
def test_a_broken_pickle_is_refused(content: bytes) -> None:
    with pytest.raises(Fault, match=r"damaged|cut off"):
        read(content)


def test_endless_nesting_neither_overflows_nor_is_hashed() -> None:
    deep = b"\x80\x02}N" + b"\x85" * 200_000 + b"K\x01s."
    assert read(deep) == {}
    assert isinstance(read(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."), list)


def test_a_memo_index_of_any_size_costs_nothing() -> None:
    assert read(b"K\x07r\xff\xff\xff\xff0j\xff\xff\xff\xff.") == 7


def test_a_mapping_made_again_and_again_from_the_same_pairs_is_stopped() -> None:
    pairs = b"](" + b"(K\x01K\x02l" * 3_000 + b"eq\x010"
    with pytest.raises(Fault, match="more steps than any model needs"):
        read(pairs + b"ccollections\nOrderedDict\nq\x020" + b"h\x02h\x01\x85R0" * 3_000 + b"N.")


def test_a_description_longer_than_any_models_is_not_read() -> None:
    content = b"X" + struct.pack("<I", MAX_PICKLE_BYTES) + bytes(MAX_PICKLE_BYTES) + b"."
    with pytest.raises(Fault, match="64 MB"):
        read(content)


def test_a_name_that_cannot_be_shown_is_not_shown_as_it_is() -> None:
    with pytest.raises(Fault) as caught:
        find_tensors(read(b"c\x1b[2Jos\nsystem\n."), "a")
    assert str(caught.value).isprintable()
