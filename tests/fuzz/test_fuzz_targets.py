"""The fuzz targets take their own seeds and simple damage of them; the fuzzer itself is tests/fuzz/run.py."""

import random
from collections.abc import Iterator

import pytest
from fuzz.targets import CHECKED, OPEN, TARGETS, model, no_checksums, one_input, zero_model

from neuralcodec.errors import NeuralCodecError


@pytest.fixture(autouse=True, scope="module")
def _let_go_of_the_model() -> Iterator[None]:
    yield
    model.cache_clear()
    zero_model.cache_clear()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_without_an_error(name: str) -> None:
    target = TARGETS[name]
    forms = set()
    for seed in target.seeds():
        forms.add(seed[:1])
        if seed[:1] == CHECKED:
            target.read(seed[1:])
        else:
            with no_checksums():
                target.read(seed[1:])
    assert forms == ({CHECKED} if name in ("tensor", "safetensors", "weights record") else {CHECKED, OPEN})


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_seeds_raise_nothing_foreign(name: str) -> None:
    rng = random.Random(name)
    run = one_input(name)
    run(b"")
    for seed in TARGETS[name].seeds():
        run(seed[: rng.randrange(len(seed))])
        for _ in range(30):
            damaged = bytearray(seed)
            for _ in range(rng.randint(1, 3)):
                damaged[rng.randrange(1, len(seed))] = rng.choice(
                    [0, 1, 2, 127, 128, 255, rng.randrange(256)]
                )
            run(bytes(damaged))


def test_checksums_are_looked_at_in_one_form_only() -> None:
    checked, passed = (
        next(seed for seed in TARGETS["single"].seeds() if seed[:1] == form and b"Exif" in seed)
        for form in (CHECKED, OPEN)
    )
    with pytest.raises(NeuralCodecError, match="checksum"):
        TARGETS["single"].read(checked[1:].replace(b"Exif", b"Exig"))
    with no_checksums():
        TARGETS["single"].read(passed[1:].replace(b"Exif", b"Exig"))
    with pytest.raises(NeuralCodecError):
        TARGETS["single"].read(passed[1:])
