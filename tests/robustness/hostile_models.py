"""Models that break the rules of docs/format.md, one rule each; what a file must not express is written by hand."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.artifact import MAGIC, Artifact
from neuralcodec.container.primitives import crc32, varint

Tensors = dict[str, NDArray[Any]]


def unsigned(values: ArrayLike) -> NDArray[Any]:
    """Return a matrix of the least unsigned dtype that holds the values."""
    array = np.atleast_2d(np.asarray(values))
    return array.astype(np.min_scalar_type(int(array.max())))


def sound() -> Tensors:
    """Return the tensors of a sound circuit: a silent root, a free node and two of one basis below it."""
    return {
        "shape": unsigned([3]),
        "dtype": unsigned([1]),
        "parent": unsigned([0, 1, 2, 1]),
        "variable": unsigned([0, 1, 2, 3]),
        "states": unsigned([2, 2, 2, 2]),
        "alphabet": unsigned([3, 4, 4]),
        "emission": unsigned([0, 1, 2, 2]),
        "root": unsigned([1, 2]),
        "transition.2": unsigned(np.full((6, 2), 7)),
        "weight.3": unsigned(np.full((4, 3), 5)),
        "free.3": unsigned([[1, 0, 4095], [0, 9, 9]]),
        "basis.0": unsigned([[1, 1, 1, 1], [0, 0, 0, 1], [9, 0, 0, 0]]),
    }


@dataclass(frozen=True)
class Hostile:
    """A change that breaks one rule, and what the error must say."""

    name: str
    message: str
    change: Callable[[Tensors], None]


def put(tensor: str, values: ArrayLike) -> Callable[[Tensors], None]:
    """Return a change that replaces a tensor."""

    def change(tensors: Tensors) -> None:
        tensors[tensor] = unsigned(values)

    return change


def entry(tensor: str, place: tuple[int, int], value: int) -> Callable[[Tensors], None]:
    """Return a change that sets one element."""

    def change(tensors: Tensors) -> None:
        wide = tensors[tensor].astype(np.uint32)
        wide[place] = value
        tensors[tensor] = unsigned(wide)

    return change


def drop(tensor: str) -> Callable[[Tensors], None]:
    """Return a change that leaves a tensor out."""

    def change(tensors: Tensors) -> None:
        del tensors[tensor]

    return change


HUGE = 2**21
LEVELS = ("root", "transition.2", "weight.3", "free.3", "basis.0")
STRUCTURE = ("shape", "dtype", "parent", "variable", "states", "alphabet", "emission")

HOSTILE = [
    *(Hostile(f"no {name}", name, drop(name)) for name in (*STRUCTURE, *LEVELS[:-1])),
    Hostile("no basis.0", "node 2: emission is 1", drop("basis.0")),
    *(Hostile(f"level 4096 in {name}", "level|squares", entry(name, (0, 0), 4096)) for name in LEVELS),
    *(Hostile(f"level 2^16 + 1 in {name}", "level", entry(name, (0, 0), 2**16 + 1)) for name in LEVELS),
    Hostile("a level of 2^23 - 1", "level", entry("free.3", (1, 1), 2**23 - 1)),
    Hostile("a prior of zeros", "sum to 0", put("root", [0, 0])),
    Hostile("a row of zeros", "sum to 0", put("free.3", [[1, 1, 1], [0, 0, 0]])),
    Hostile("a basis row of zeros", "sum to 0", put("basis.0", [[1] * 4, [0] * 4, [1] * 4])),
    Hostile("weights of zeros", "sum to 0", put("weight.3", np.diag([1, 1, 1, 0])[:, :3])),
    Hostile("transitions of zeros", "sum to 0", put("transition.2", np.eye(6, 2, dtype=int))),
    Hostile("a sum of 2^24", "16777216|33538050", put("root", [4095, 4095])),
    Hostile("a sum just too large", "sum to", put("basis.0", [[2048] * 4, [0, 0, 0, 1], [9, 0, 0, 0]])),
    Hostile("a root with a parent", "node 0", put("parent", [1, 1, 2, 1])),
    Hostile("a node that is its own parent", "node 2: bad parent", put("parent", [0, 1, 0, 1])),
    Hostile("a parent before the root", "node 1: bad parent", put("parent", [0, 2, 2, 1])),
    Hostile("a parent off the path", "node 3.*preorder", put("parent", [0, 1, 2, 2])),
    Hostile("a parent far away", "bad parent", put("parent", [0, 1, 2, 2**22])),
    Hostile("a node more", "shape", put("parent", [0, 1, 2, 1, 1])),
    Hostile("no states", "node 1: states is 0", put("states", [2, 0, 2, 2])),
    Hostile("states above 4096", "node 2: states is 4097", put("states", [2, 2, 4097, 2])),
    Hostile("states of 2^23 - 1", "node 3: states", put("states", [2, 2, 2, 2**23 - 1])),
    Hostile("other states than rows", "transition", put("states", [2, 2, 3, 2])),
    Hostile("a variable owned twice", "node 3: variable is 1", put("variable", [0, 1, 2, 2])),
    Hostile("a variable that is not there", "node 3: variable is 3", put("variable", [0, 1, 2, 4])),
    Hostile("a variable that nobody owns", "sample 2", put("variable", [0, 1, 2, 0])),
    Hostile("an alphabet of 0", "alphabet is 0", put("alphabet", [0, 4, 4])),
    Hostile("an alphabet above the dtype", "alphabet is 257", put("alphabet", [257, 4, 4])),
    Hostile(
        "an alphabet above 4096",
        "alphabet is 4097",
        lambda t: t.update(dtype=unsigned([2]), alphabet=unsigned([4097, 4, 4])),
    ),
    Hostile("two alphabets of one basis", "alphabet is 3", put("alphabet", [3, 4, 3])),
    Hostile("an alphabet of another width", "free", put("alphabet", [2, 4, 4])),
    Hostile("emissions of a silent node", "node 0: emission", put("emission", [1, 1, 2, 2])),
    Hostile("a node without emissions", "node 1: emission", put("emission", [0, 0, 2, 2])),
    Hostile("an unknown basis", "node 3: emission", put("emission", [0, 1, 2, 3])),
    Hostile("a basis far away", "node 3: emission", put("emission", [0, 1, 2, 2**23 - 1])),
    Hostile("a basis that nobody uses", "basis 1: no node uses it", put("basis.1", [[1, 1, 1, 1]])),
    Hostile("a basis of another width", "basis 0 has 3 values", put("basis.0", np.ones((3, 3), int))),
    Hostile("a basis of more rows", "weight", put("basis.0", np.ones((4, 4), int))),
    Hostile("a basis of 4097 rows", "basis 0: size is 4097", put("basis.0", np.ones((4097, 4), int))),
    Hostile("a gap between bases", "basis.2", put("basis.2", [[1, 1, 1, 1]])),
    Hostile("an unknown tensor", "no tensor 'extra'", put("extra", [1])),
    Hostile("transitions of no node", "transition.9", put("transition.9", [[1] * 9])),
    Hostile("an empty tensor", "shape", lambda t: t.update(root=np.zeros((0, 0), np.uint8))),
    Hostile(
        "a parent tensor without elements", "parent", lambda t: t.update(parent=np.zeros((0, 0), np.uint8))
    ),
    Hostile("dtype 0", "dtype code is 0", put("dtype", [0])),
    Hostile("dtype 10", "dtype code is 10", put("dtype", [10])),
    Hostile("two dtypes", "dtype", put("dtype", [1, 1])),
    Hostile("a dimension of 0", "shape", put("shape", [3, 0])),
    Hostile("another number of samples", "alphabet has shape", put("shape", [4])),
    Hostile("nine dimensions", "limit is 8", put("shape", [3, *[1] * 8])),
    Hostile("a shape above 2^16 samples", "limit is 65536", put("shape", [2**11, 2**11])),
    Hostile("a shape whose product overflows", "limit is 65536", put("shape", [2**22] * 8)),
    Hostile("two rows of parents", "parent", put("parent", [[0, 1, 2, 1]] * 2)),
    Hostile("too few transitions", "transition.2", put("transition.2", np.full((5, 2), 7))),
    Hostile("transitions transposed", "transition.2", put("transition.2", np.full((2, 6), 7))),
    Hostile(
        "too many nodes",
        "limit is 131072",
        lambda t: t.update(
            {name: np.ones((1, HUGE), np.uint8) for name in ("variable", "states", "emission")}
            | {"parent": np.minimum(np.arange(HUGE), 1).astype(np.uint8)[None]}
        ),
    ),
    Hostile("a shape of many ones", "limit is 8", lambda t: t.update(shape=np.ones((1, HUGE), np.uint8))),
    Hostile("a shape of many twos", "limit is 8", lambda t: t.update(shape=np.full((1, HUGE), 2, np.uint8))),
    Hostile(
        "many parents",
        "limit is 131072",
        lambda t: t.update(parent=np.minimum(np.arange(HUGE), 1).astype(np.uint8)[None]),
    ),
    Hostile("many alphabets", "limit is 65536", lambda t: t.update(alphabet=np.ones((1, HUGE), np.uint8))),
    Hostile("many states", "states", lambda t: t.update(states=np.ones((1, HUGE), np.uint8))),
    Hostile("a huge tensor of no use", "no tensor 'x'", lambda t: t.update(x=np.zeros((HUGE, 2), np.uint8))),
]


def hostile_file(case: Hostile) -> bytes:
    """Return the model file of a case: its checksum and identity hold."""
    tensors = sound()
    case.change(tensors)
    return Artifact("circuit", {}, tensors).to_bytes()


def by_hand(
    records: list[tuple[bytes, int, int, bytes]],
    header: bytes = b"{}",
    count: int | None = None,
    family: bytes = b"circuit",
) -> bytes:
    """Return a model file with a checksum that holds and an identity of zeros."""
    parts = [MAGIC, b"\1", bytes(32), varint(len(family)), family, varint(len(header)), header]
    parts.append(varint(len(records) if count is None else count))
    for name, rows, columns, body in records:
        parts += [varint(len(name)), name, varint(rows), varint(columns), varint(len(body)), body]
    data = b"".join(parts)
    return data + crc32(data)


ZERO_TABLE = b"\1\1" + varint(4096)
BOMBS = {
    "2^28 elements in 1 kB": by_hand([(b"a", 2**14, 2**14, ZERO_TABLE + b"\1\0" + bytes(900))]),
    "2^28 rows in 1 kB": by_hand([(b"a", 2**28, 1, ZERO_TABLE + varint(2**28) + b"\0" + bytes(900))]),
    "rows and columns that overflow": by_hand([(b"a", 2**28, 2**28, ZERO_TABLE + bytes(900))]),
    "rows beyond the limit": by_hand([(b"a", 2**62, 2, ZERO_TABLE + bytes(900))]),
    "2^63 - 1 tensors": by_hand([], count=2**63 - 1),
    "many blocks": by_hand([(b"a", 2**20, 1, ZERO_TABLE + b"\1" + bytes(900))]),
    "a body longer than the file": by_hand([])[:-5] + b"\1\1a\1\1" + varint(2**60) + bytes(4),
    "nested arrays": by_hand([], b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "nested objects": by_hand([], b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "a number of many digits": by_hand([], b'{"a":' + b"9" * 500_000 + b"}"),
    "a header above 1 MiB": by_hand([], json.dumps({"a": "x" * 2**20}).encode()),
    "a header that says it is huge": by_hand([])[:46] + varint(2**62) + bytes(900),
    "a header of constants": by_hand([], b'{"a":NaN}'),
    "a header that is a list": by_hand([], b"[]"),
    "a header that is no UTF-8": by_hand([], b'{"a":"\xff"}'),
    "a family without name": by_hand([], family=b""),
    "names that do not ascend": by_hand([(b"b", 0, 0, b""), (b"a", 0, 0, b"")]),
    "the same name twice": by_hand([(b"a", 0, 0, b""), (b"a", 0, 0, b"")]),
    "rows without columns": by_hand([(b"a", 3, 0, b"")]),
    "an identity of zeros": by_hand([(b"a", 1, 1, ZERO_TABLE + b"\1\0")]),
}
