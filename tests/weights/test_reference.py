"""The plain decoder on `neuralcodec.entropy` reads what the native coder writes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralcodec import native
from neuralcodec.weights.coder import BOUNDED, FILE_STEP, LOSSLESS, Settings, coder
from neuralcodec.weights.dtypes import BY_NAME, TYPES, of_numpy
from neuralcodec.weights.reference import decode_block, tail_of
from neuralcodec.weights.tensors import TensorSpec

RNG = np.random.default_rng(5)
SMOOTH = (RNG.normal(size=(6, 5, 1, 1)) + 0.3 * RNG.normal(size=(6, 5, 3, 3))).astype(np.float32)
ROWS = (RNG.normal(size=(24, 24)) * np.exp2(RNG.normal(size=(24, 1)) * 2)).astype(np.float32)
WALK = np.cumsum(RNG.normal(size=(8, 40)), axis=1).astype(np.float32)
SPARSE = np.where(RNG.random((16, 20)) < 0.7, 0, RNG.normal(size=(16, 20))).astype(np.float32)


def with_special(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values among which are those that no cell holds, and those below every cell."""
    array.flat[50:59] = np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, -1e-3, 1e-20
    return array


LOSSY: dict[str, tuple[NDArray[Any], float, int]] = {
    "fine": (SMOOTH, 0.01, 3),
    "many states": (SMOOTH, 0.05, 8),
    "scalar": (SMOOTH, 0.05, 0),
    "coarse": (RNG.normal(size=(16, 20)).astype(np.float32), 1.5, 4),
    "coarse scalar": (RNG.laplace(size=(16, 20)).astype(np.float32), 1.0, 0),
    "rows": (ROWS, 0.1, 2),
    "columns": (np.ascontiguousarray(ROWS.T), 0.1, 2),
    "along rows": (WALK, 0.02, 5),
    "sparse": (SPARSE, 0.05, 6),
    "outlier": (
        np.where(np.arange(300) == 7, 1e6, RNG.normal(size=300)).astype(np.float32).reshape(10, 30),
        0.1,
        7,
    ),
    "float16": (SMOOTH.astype(np.float16), 0.03, 3),
    "float64": (SMOOTH.astype(np.float64), 0.03, 3),
}
EXACT: dict[str, NDArray[Any]] = {
    "float32": SMOOTH,
    "float16": SMOOTH.astype(np.float16),
    "float64": SMOOTH.astype(np.float64)[:3],
    "half in single": SMOOTH.astype(np.float16).astype(np.float32),
    "sparse": SPARSE,
    "some zeros": np.where(np.arange(320).reshape(16, 20) % 40 == 0, 0, SPARSE + 1e-3).astype(np.float32),
    "special": with_special(RNG.normal(size=(20, 30)).astype(np.float32)),
    "mean": (1 + 0.01 * RNG.normal(size=200)).astype(np.float32),
    "int8": np.rint(RNG.normal(size=(12, 30)) * 9).astype(np.int8),
    "ternary": RNG.integers(-1, 2, (20, 30)).astype(np.int8),
    "int32": np.rint(RNG.normal(size=(12, 30)) * 1e5).astype(np.int32),
    "uint16": (30_000 + RNG.integers(-50, 50, 400)).astype(np.uint16),
}


def both(
    arrays: list[NDArray[Any]], aims: list[int], settings: Settings, types: list[str] | None = None
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Code arrays into one block; return their models, and their bytes, which both decoders agree on."""
    names = types or [of_numpy(array.dtype, "x").name for array in arrays]
    specs = [
        TensorSpec(str(i), BY_NAME[name], a.shape)
        for i, (name, a) in enumerate(zip(names, arrays, strict=True))
    ]
    given = [
        (np.frombuffer(a.tobytes(), np.uint8), *s.layout, aim, 0)
        for a, s, aim in zip(arrays, specs, aims, strict=True)
    ]
    parameters, stored, blocks, _ = coder().encode(
        given, settings.step, settings.bound, settings.trellis, settings.price, False, 1, native.simd()
    )
    layouts = [(spec.count, *spec.layout) for spec in specs]
    models = native.weight_models(coder(), parameters, layouts, "x")
    decoded = native.decode_weights(coder(), parameters, stored, blocks, layouts, settings.step, 1, "x")
    assert len(blocks) == 1
    plain = decode_block(blocks[0], models, specs, settings.step)
    for model, (one, _), other in zip(models, decoded, plain, strict=True):
        assert model["kind"] < 2 or bytes(one) == bytes(other)
    return models, [bytes(one) for one, _ in decoded]


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_levels(name: str) -> None:
    array, step, trellis = LOSSY[name]
    models, _ = both([array], [FILE_STEP], Settings(step, 1e-4, trellis))
    assert models[0]["kind"] == 4
    assert models[0]["trellis"] == trellis


@pytest.mark.parametrize("name", EXACT)
def test_exact_values(name: str) -> None:
    array = EXACT[name]
    _, decoded = both([array], [LOSSLESS], Settings())
    assert decoded[0] == array.tobytes()


def test_the_cases_use_every_part_of_the_format() -> None:
    models = [both([a], [FILE_STEP], Settings(step, 1e-4, t))[0][0] for a, step, t in LOSSY.values()]
    models += [both([a], [LOSSLESS], Settings())[0][0] for a in EXACT.values() if a.nbytes > 64]
    assert {m["kind"] for m in models} >= {2, 3, 4}
    assert {m["lattice"] for m in models} == {0, 1, 2, 3}
    for key in ("bins", "spike", "above", "order", "dropped", "zeros", "centre"):
        assert any(m[key] for m in models), key
    for i in range(3):
        assert any(m["gains"][i] for m in models), ("row", "channel", "near")[i]
    assert len({m["shape"] for m in models}) > 3


def test_tensors_share_a_block() -> None:
    arrays = [SMOOTH, np.arange(20, dtype=np.int64) % 3, ROWS[0], ROWS, EXACT["int8"]]
    aims = [FILE_STEP, LOSSLESS, BOUNDED, FILE_STEP, LOSSLESS]
    both(
        [a.astype(np.float32) if i in (0, 2, 3) else a for i, a in enumerate(arrays)],
        aims,
        Settings(0.02, 1e-4, 3),
    )


def test_bfloat16() -> None:
    bits = (SMOOTH.view(np.uint32) >> 16).astype(np.uint16)
    for aim, step in ((LOSSLESS, 0.0), (FILE_STEP, 0.05)):
        _, decoded = both([bits], [aim], Settings(step, 1e-4, 3), ["BF16"])
        if aim == LOSSLESS:
            assert decoded[0] == bits.tobytes()


def test_tails_descend_from_a_half_to_nothing() -> None:
    for shape in range(33):
        tail = np.array(tail_of(shape))
        assert tail[0] == 2**31
        assert tail[-1] == 0
        assert (np.diff(tail) <= 0).all()


def test_types_have_codes_of_their_own() -> None:
    assert len({one.code for one in TYPES}) == len({one.name for one in TYPES}) == len(TYPES)
