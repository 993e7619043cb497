"""The shipped tables: what the generating script writes, and their fixed bytes."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from neuralcodec.entropy.tables import NAMES, load_tail
from neuralcodec.entropy.tables.generate import make_table

HASHES = {
    "gaussian": "6836f2d1606776834a23f0602ed3aff3c4b35adf3fb4ec1b53bce665acdb0c02",
    "laplace": "544590ac57f8724e82c54b573cd15d9f167ae0c593c78bfaf6f03751a51721a5",
    "logistic": "74970b8294f305695910dd7cf2aa1ca55edac535b69b65eb4a3a3697dea582f7",
}


@pytest.mark.parametrize("name", NAMES)
def test_shipped_bytes_never_change(name: str) -> None:
    data = (files("neuralcodec.entropy.tables") / f"{name}.u32").read_bytes()
    assert hashlib.sha256(data).hexdigest() == HASHES[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_script_makes_the_shipped_tables(name: str) -> None:
    assert np.array_equal(make_table(name), load_tail(name))


@pytest.mark.parametrize("name", NAMES)
def test_tables_descend_from_a_half_to_zero(name: str) -> None:
    table = load_tail(name)
    assert int(table[0]) == 1 << 31
    assert int(table[-1]) == 0
    assert int(np.diff(table).max()) <= 0
    assert not table.flags.writeable


def test_known_values() -> None:
    # Q(1) = 0.15865525393145705, exp(-1) / 2 = 0.18393972058572117, 1 / (1 + e) = 0.2689414213699951
    assert int(load_tail("gaussian")[256]) == 681419127
    assert int(load_tail("laplace")[256]) == 790015084
    assert int(load_tail("logistic")[256]) == 1155094609
