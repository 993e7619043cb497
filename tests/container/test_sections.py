import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralcodec.container import sections
from neuralcodec.container.primitives import Reader, varint
from neuralcodec.errors import CorruptFile, TruncatedFile, UnsupportedInput, UnsupportedVersion


def read(data: bytes) -> dict[int, bytes]:
    reader = Reader(data, "header")
    found = sections.read_sections(reader)
    assert reader.remaining == 0
    return found


@given(st.dictionaries(st.sampled_from([1, 2, 3, 5]), st.binary(max_size=300)))
def test_section_list_comes_back(content: dict[int, bytes]) -> None:
    data = sections.write_sections(content)
    assert (read(data) if data else {}) == content


def test_section_list_bytes() -> None:
    assert sections.write_sections({5: b"xy", 1: b""}).hex() == "0100" + "05027879" + "00"
    assert sections.write_sections({}) == b""


def test_unknown_sections_are_skipped_if_odd_and_refused_if_even() -> None:
    assert read(bytes.fromhex("0101aa 0b02bbcc 00")) == {1: b"\xaa"}
    with pytest.raises(UnsupportedVersion, match="mandatory section 4"):
        read(bytes.fromhex("0101aa 0400 00"))


@pytest.mark.parametrize("data", ["0500 0100 00", "0100 0100 00"])
def test_types_must_ascend(data: str) -> None:
    with pytest.raises(CorruptFile, match="must ascend"):
        read(bytes.fromhex(data))


def test_lengths_are_bounded_before_bytes_are_taken() -> None:
    with pytest.raises(CorruptFile, match="outside 0 to 16777216"):
        read(b"\1" + varint(2**24 + 1))
    with pytest.raises(TruncatedFile):
        read(b"\1" + varint(2**24) + b"abc")
    with pytest.raises(UnsupportedInput, match="ICC profile takes"):
        sections.write_sections({1: bytes(2**24 + 1)})


@given(st.dictionaries(st.sampled_from([1, 2, 3, 5, 7]), st.binary(max_size=90).map(lambda b: b * 9)))
def test_deflated_sections_come_back_and_are_no_longer(content: dict[int, bytes]) -> None:
    found = sections.sections_deflated(content)
    assert sections.sections_inflated(found) == content
    assert len(sections.write_sections(found)) <= len(sections.write_sections(content))


def test_masks_and_what_does_not_shrink_are_not_deflated() -> None:
    noise = np.random.default_rng(0).bytes(400)
    assert sections.sections_deflated({1: noise}) == {1: noise}
    assert sections.sections_deflated({2: bytes(400)}) == {2: bytes(400)}
    assert sections.sections_deflated({1: bytes(400), 2: b"mask"}).keys() == {2, 9}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "zlib"),
        (zlib.compress(b"\5\1a\0") + b"x", "does not end"),
        (zlib.compress(b"\5\1a\0\0"), "1 bytes follow"),
        (zlib.compress(b"\5\1a"), "needs 1 bytes"),
        (zlib.compress(b"\2\1a\0"), "the mask does not belong there"),
        (zlib.compress(b"\x09\1a\0"), "section 9 does not belong there"),
        (zlib.compress(b"\x0b\1a\0"), "section 11 does not belong there"),
        (zlib.compress(b"\1\1a\0"), "the ICC profile stands beside them too"),
    ],
)
def test_damaged_deflated_sections_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message):
        sections.sections_inflated({1: b"profile", 9: content})


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_items_come_back(items: list[bytes]) -> None:
    assert sections.unpack_items(5, sections.pack_items(5, items), len(items)) == items


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "zlib"),
        (zlib.compress(b"\0\0"), "1 bytes follow"),
        (zlib.compress(b"\0") + b"x", "does not end"),
        (zlib.compress(b"\0")[:-1], "does not end"),
        (zlib.compress(b"\5a"), "needs 5 bytes"),
        (zlib.compress(b""), "needs 1 bytes"),
        (zlib.compress(varint(2**16) + bytes(2**16)), "more than 65536"),
    ],
)
def test_damaged_items_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message) as caught:
        sections.unpack_items(5, content, 1)
    assert caught.value.section == "name"


def test_items_above_the_limit_are_not_written() -> None:
    with pytest.raises(UnsupportedInput, match="at most 65536"):
        sections.pack_items(3, [bytes(2**16)])


@pytest.mark.parametrize(
    ("name", "stored"),
    [("a/b/ü.png", "ü.png"), ("..\\x", "x"), ("dir/", ""), ("..", ""), ("a\0b", "ab"), ("\udc80", "?")],
)
def test_names_lose_their_directories(name: str, stored: str) -> None:
    assert sections.unpack_name(sections.pack_name(name)) == stored


@pytest.mark.parametrize("raw", [b"../x", b"..", b".", b"a\\b", b"/etc/passwd", b"a\0", b"\xff"])
def test_names_that_lead_elsewhere_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptFile, match="name"):
        sections.unpack_name(raw)


@given(st.integers(1, 5), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_masks_come_back(n: int, shape: list[int], seed: int) -> None:
    missing = np.random.default_rng(seed).random((n, *shape)) < 0.3
    body = sections.pack_mask(missing, tuple(shape))
    assert np.array_equal(sections.unpack_mask(body, tuple(shape), n), missing)


def test_mask_is_a_matrix_of_one_row_for_each_row_of_the_signals() -> None:
    from neuralcodec.native import encode_tensor

    missing = np.arange(24).reshape(2, 3, 4) % 5 == 0
    assert sections.pack_mask(missing, (3, 4)) == encode_tensor(missing.reshape(6, 4).astype(np.uint8))
    assert sections.pack_mask(missing, (3, 2, 2)) == encode_tensor(missing.reshape(6, 4).astype(np.uint8))
    line = missing.reshape(2, 12)
    assert sections.pack_mask(line, (12,)) == encode_tensor(line.astype(np.uint8))


def test_masks_of_other_values_and_of_absurd_sizes_are_refused() -> None:
    from neuralcodec.native import encode_tensor

    with pytest.raises(CorruptFile, match="holds 2"):
        sections.unpack_mask(encode_tensor(np.array([[0, 2]])), (1, 2), 1)
    with pytest.raises(CorruptFile, match="cannot hold"):
        sections.unpack_mask(b"\1\0\0", (2**14,), 2**14)
