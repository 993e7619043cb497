"""Codec 2, neural representations, as docs/format.md gives it in its sections 8 and 9.

Part of the independent decoder (decoder.py). Indices and latents are exact; the samples are computed in binary64.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from decoder_primitives import DTYPES, Coder, largest_value, must
from numpy.typing import NDArray

Matrix = NDArray[np.int64]
Real = NDArray[np.float64]
NORMALS = Path(__file__).parents[2] / "neuralcodec" / "entropy" / "tables" / "normal.i32"
WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Representation:
    """A model of the family recombiner."""

    identity: bytes
    dtype: int
    grid: tuple[int, ...]
    channels: int
    whole: bool
    group: tuple[int, ...]
    widths: tuple[int, ...]
    features: int
    latents: tuple[int, ...]
    encoding: tuple[int, ...]
    factors: tuple[int, ...]
    bits: int
    low: int
    high: int
    seed: int
    blocks: list[list[int]]
    tokens: list[list[int]]
    real: dict[str, Real]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a whole signal."""
        return self.grid if self.channels == 1 else (*self.grid, self.channels)

    @property
    def coarse(self) -> tuple[int, ...]:
        """Places of z along each dimension of a patch."""
        return tuple(g // math.prod(self.factors) for g in self.grid)


def read_representation(identity: bytes, tensors: dict[str, Matrix]) -> Representation:
    """Return the model in tensors, refusing what section 9.1 does not allow."""
    for name in ("layout", "signal", "steps"):
        must(name in tensors and tensors[name].size > 0, f"the tensor {name} is not there")
    grid, scalars, group, hidden, latents, encoding, factors = _lists(tensors["layout"])
    must(len(scalars) == 3, "the layout does not have three numbers")
    channels, whole, features = scalars
    d = len(grid)
    must(1 <= d <= 3 and min(grid) >= 1 and math.prod(grid) <= 65_536, "the grid is out of range")
    must(1 <= channels <= 16 and whole <= 1, "channels or whole are out of range")
    must(len(group) == d and all(1 <= q <= (1 if whole else 64) for q in group), "the group is out of range")
    must(1 <= len(hidden) <= 8 and all(1 <= w <= 256 for w in hidden), "hidden widths are out of range")
    must(2 * d <= features <= 256 and features % (2 * d) == 0, "the features are out of range")
    must(len(latents) == len(hidden) + 1 and all(1 <= a <= 4_096 for a in latents), "latents out of range")
    must(len(encoding) == len(factors) + 1 and all(1 <= e <= 256 for e in encoding), "encoding out of range")
    must(all(f in (2, 4, 6, 8) for f in factors), "a factor is out of range")
    must(all(g % math.prod(factors) == 0 for g in grid), "the factors do not divide the grid")
    h = sum(latents)
    z = encoding[0] * math.prod(g // math.prod(factors) for g in grid)
    must(h + z <= 65_536, "too many latents")
    dtype, bits, low, high, seed = _numbers(tensors["signal"])
    must(dtype in DTYPES and DTYPES[dtype] != "?" and np.dtype(DTYPES[dtype]).itemsize <= 4, "no such dtype")
    must(-(2**32) <= low < high <= 2**32 and 1 <= bits <= 20 and seed < 2**56, "a number is out of range")
    widths = (features + encoding[-1], *hidden, channels)
    levels = 1 if whole else 3
    shapes = _shapes(widths, latents, encoding, factors, d, levels, z)
    expected = {"layout", "signal", "steps", *shapes}
    blocks, tokens = [], []
    for level in range(levels):
        names = f"blocks.{level}", f"tokens.{level}"
        must(
            all(n in tensors and len(tensors[n]) == 1 for n in names),
            f"level {level} has no blocks or tokens",
        )
        expected |= set(names)
        blocks.append(tensors[names[0]][0].tolist())
        tokens.append(tensors[names[1]][0].tolist())
        must(len(blocks[-1]) <= 65_536 and min(blocks[-1]) >= 1, "a block is out of range")
        must(sum(blocks[-1]) == h + (0 if level else z), "the blocks do not add up")
        must(len(tokens[-1]) == max(4 * bits - 4, 2), "the token table has another size")
        must(min(tokens[-1]) >= 1 and sum(tokens[-1]) == 2**20, "the token table does not add up")
    must(set(tensors) == expected, "the model has other tensors")
    real = _reals(tensors, shapes)
    return Representation(
        identity, dtype, grid, channels, bool(whole), group, widths, features, latents, encoding, factors, bits, low,
        high, seed, blocks, tokens, real,
    )  # fmt: skip


def _lists(row: Matrix) -> list[tuple[int, ...]]:
    must(row.shape[0] == 1, "the layout has several rows")
    values, lists = row[0].tolist(), []
    for _ in range(7):
        must(bool(values) and values[0] <= 64 and len(values) > values[0], "the layout is cut off")
        lists.append(tuple(values[1 : 1 + values[0]]))
        values = values[1 + values[0] :]
    must(not values, "the layout goes on behind its lists")
    must(all(lists[i] for i in (0, 2, 3, 4, 5)), "a list of the layout is empty")
    return lists


def _numbers(rows: Matrix) -> list[int]:
    must(rows.shape == (5, 4) and int(rows.max()) < 1 << 16, "the signal's numbers are damaged")
    found = [sum(word << 16 * i for i, word in enumerate(row)) for row in rows.tolist()]
    signed = [n - (1 << 64) if n >> 63 else n for n in found]
    return [found[0], found[1], signed[2], signed[3], found[4]]


def _shapes(
    widths: tuple[int, ...],
    latents: tuple[int, ...],
    encoding: tuple[int, ...],
    factors: tuple[int, ...],
    d: int,
    levels: int,
    z: int,
) -> dict[str, tuple[int, int]]:
    sizes = [(a + 1) * b for a, b in pairwise(widths)]
    shapes = {"base": (1, sum(sizes)), "level_scale": (levels, sum(latents)), "encoding": (2, z)}
    shapes |= {f"map.{i}": pair for i, pair in enumerate(zip(latents, sizes, strict=True))}
    for i, f in enumerate(factors):
        shapes[f"stage.{i}.kernel"] = encoding[i], encoding[i + 1] * (2 * f) ** d
        shapes[f"stage.{i}.bias"] = 1, encoding[i + 1]
    return shapes


def _reals(tensors: dict[str, Matrix], shapes: dict[str, tuple[int, int]]) -> dict[str, Real]:
    words, names = tensors["steps"], sorted(shapes)
    must(words.shape == (len(names) + 1, 2) and int(words.max()) < 1 << 16, "the steps are damaged")
    steps = ((words[:, 0] << 16) + words[:, 1]).astype("<u4").view("<f4")
    must(bool(np.isfinite(steps).all() and (steps > 0).all()), "a step is not positive")
    must(all(2.0**-30 <= float(s) <= 2.0**10 for s in steps[:-1]), "a step is out of range")
    real = {}
    for name, step in zip(names, steps, strict=False):
        must(name in tensors and tensors[name].shape == shapes[name], f"the tensor {name} does not fit")
        element = tensors[name]
        level = np.where(element % 2 == 1, -((element + 1) // 2), element // 2)
        real[name] = (level.astype(np.float32) * step).astype(np.float64)
    return real


def decode_group(
    data: bytes, n: int, model: Representation, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], bytes]:
    """Return the samples of a group, (n, D), and what its checksum covers."""
    counts = patches_of(shape, model)
    groups = [-(-k // q) for k, q in zip(counts, model.group, strict=True)]
    units = [math.prod(counts), math.prod(groups), 1][: len(model.blocks)]
    latents = [sum(sizes) for sizes in model.blocks]
    blocks = sum(u * len(sizes) for u, sizes in zip(units, model.blocks, strict=True))
    for u, sizes, v in zip(units, model.blocks, latents, strict=True):
        must(u * len(sizes) <= 2**30 and u * v <= 2**28, "the signal has too many patches")
    must(8 * len(data) >= n * blocks, "too few bytes for the blocks")
    must(
        2048 * len(data) >= n * sum(u * v for u, v in zip(units, latents, strict=True)),
        "too few for the latents",
    )
    must(32_768 * len(data) >= n * math.prod(shape), "too few bytes for the samples")
    coder = Coder(data)
    indices = [
        read_indices(coder, n * u * len(sizes), table, model.bits)
        for u, sizes, table in zip(units, model.blocks, model.tokens, strict=True)
    ]
    coder.finish()
    found = [
        [level_latents(part, level, units[level], model) for part in np.split(np.array(values), n)]
        for level, values in enumerate(indices)
    ]
    samples = [reconstruct([one[s] for one in found], counts, shape, model) for s in range(n)]
    checked = b"".join(np.array(values).astype("<u4").tobytes() for values in indices)
    return np.array(samples), checked


def patches_of(shape: tuple[int, ...], model: Representation) -> tuple[int, ...]:
    """Return the patches along each dimension, refusing shapes that the model does not take."""
    d = len(model.grid)
    if model.whole:
        must([s for s in shape if s > 1] == [s for s in model.shape if s > 1], "the shape is not the model's")
        return (1,) * d
    must(len(shape) in (d, d + 1), "the signal has other dimensions than the model's")
    channels = shape[d] if len(shape) > d else 1
    must(channels == model.channels or (channels, model.channels) == (1, 3), "the signal has other channels")
    return tuple(-(-s // g) for s, g in zip(shape, model.grid, strict=False))


def read_indices(coder: Coder, count: int, table: list[int], bits: int) -> list[int]:
    """Return so many indices: section 8.4."""
    starts = np.cumsum([0, *table])
    tokens, widths = [], []
    for _ in range(count):
        token = int(np.searchsorted(starts, coder.target // 16, side="right")) - 1
        coder.pop(16 * int(starts[token]), 16 * table[token])
        tokens.append(token)
        widths.append(max(token // 4 - 1, 0))
    found = [t if t < 4 else (4 + t % 4) << w for t, w in zip(tokens, widths, strict=True)]
    for size in range(1, 13):
        for i, width in enumerate(widths):
            for piece, shift in ((min(width, 12), 0), (max(width - 12, 0), 12)):
                if piece == size:
                    value = coder.target >> (24 - size)
                    coder.pop(value << (24 - size), 1 << (24 - size))
                    found[i] += value << shift
    must(all(i < 1 << bits for i in found), "an index is too large")
    return found


def philox(seed: int, counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return four words: section 8.1."""
    k0, k1 = seed & WORD, seed >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & WORD, (a >> 32) ^ c3 ^ k1, a & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


@cache
def normals() -> list[int]:
    """Return the table of section 8.2."""
    return np.fromfile(NORMALS, "<i4").tolist()


def normal(u: int) -> float:
    """Return the normal of a word: section 8.2."""
    table = normals()
    v = 2 * (u % 2**31) + 1
    e = v.bit_length() - 1
    w = v << (31 - e)
    j, g = 128 * e + (w >> 24) % 128, (w >> 8) % 2**16
    a = table[j] - ((table[j] - table[j + 1]) * g + 2**15) // 2**16
    return (-a if u >= 2**31 else a) * 2.0**-21


@cache
def order_of(count: int, seed: int) -> list[int]:
    """Return the numbers below `count` in the order of section 8.3."""

    def key(number: int) -> tuple[int, int]:
        words = philox(seed, (number, 0, 0, 2))
        return words[0] + (words[1] << 32), number

    return sorted(range(count), key=key)


def level_latents(indices: Any, level: int, units: int, model: Representation) -> Real:
    """Return the latents of a signal's units of a level, (units, latents): section 9.3."""
    sizes = model.blocks[level]
    v = sum(sizes)
    places = order_of(v, model.seed)
    rows = np.zeros((units, v))
    for r in range(units):
        start = 0
        for b, size in enumerate(sizes):
            number, index = r * len(sizes) + b + (level << 30), int(indices[r * len(sizes) + b])
            for i in range(size):
                word = philox(model.seed, (index, number, i // 4, 0))[i % 4]
                rows[r, places[start + i]] = normal(word)
            start += size
    if units == 1:
        return rows
    found, filled = np.zeros_like(rows), [0] * v
    for number in order_of(v * units, model.seed + (level << 56)):
        unit, j = divmod(number, v)
        found[unit, j] = rows[filled[j], j]
        filled[j] += 1
    return found


def reconstruct(
    latents: list[Real], counts: tuple[int, ...], shape: tuple[int, ...], model: Representation
) -> NDArray[np.int64]:
    """Return the samples of a signal, (D,): section 9.4."""
    d, h, real = len(counts), sum(model.latents), model.real
    encodings = upsampled(latents[0][:, h:], counts, model)
    full = np.zeros((*(k * g for k, g in zip(counts, model.grid, strict=True)), model.channels))
    groups = [-(-k // q) for k, q in zip(counts, model.group, strict=True)]
    for patch, place in enumerate(np.ndindex(*counts)):
        group = np.ravel_multi_index([p // q for p, q in zip(place, model.group, strict=True)], groups)
        unit = [patch, int(group), 0]
        total = sum(real["level_scale"][i] * one[unit[i], :h] for i, one in enumerate(latents))
        parts = np.split(np.asarray(total), np.cumsum(model.latents)[:-1])
        parameters = np.concatenate([p @ real[f"map.{i}"] for i, p in enumerate(parts)]) + real["base"][0]
        corner = [p * g for p, g in zip(place, model.grid, strict=True)]
        region = tuple(slice(a, a + g) for a, g in zip(corner, model.grid, strict=True))
        x = np.concatenate(
            [inputs(model), encodings[(slice(None), *region)].reshape(model.encoding[-1], -1).T], axis=1
        )
        full[region] = layers(x, parameters, model).reshape(*model.grid, model.channels)
    values = model.low + (model.high - model.low) * full
    least = 0 if DTYPES[model.dtype].startswith("u") else -largest_value(model.dtype) - 1
    samples = np.clip(np.rint(values), least, largest_value(model.dtype))
    if model.whole:
        return samples.astype(np.int64).reshape(-1)
    samples = samples[tuple(slice(s) for s in shape[:d])]
    if math.prod(shape[d:]) < model.channels:
        samples = np.rint(samples.mean(axis=-1))
    return samples.astype(np.int64).reshape(-1)


def upsampled(z: Real, counts: tuple[int, ...], model: Representation) -> Real:
    """Return the encodings at all points of a signal, channels first: step 1."""
    scaled = z * model.real["encoding"][1] + model.real["encoding"][0]
    sides = [k * c for k, c in zip(counts, model.coarse, strict=True)]
    x = np.zeros((model.encoding[0], *sides))
    for patch, place in enumerate(np.ndindex(*counts)):
        region = tuple(slice(p * c, (p + 1) * c) for p, c in zip(place, model.coarse, strict=True))
        x[(slice(None), *region)] = scaled[patch].reshape(model.encoding[0], *model.coarse)
    for i, f in enumerate(model.factors):
        x = np.maximum(x, 0.01 * x) if i else x
        kernel = model.real[f"stage.{i}.kernel"].reshape(
            model.encoding[i], model.encoding[i + 1], *(2 * f,) * len(counts)
        )
        made = np.zeros((model.encoding[i + 1], *(n * f for n in x.shape[1:])))
        for q in np.ndindex(*x.shape[1:]):
            for t in np.ndindex(*(2 * f,) * len(counts)):
                p = tuple(f * a + b - f // 2 for a, b in zip(q, t, strict=True))
                if all(0 <= a < n for a, n in zip(p, made.shape[1:], strict=True)):
                    made[(slice(None), *p)] += x[(slice(None), *q)] @ kernel[(slice(None), slice(None), *t)]
        x = made + model.real[f"stage.{i}.bias"].reshape(-1, *(1,) * len(counts))
    return x


def inputs(model: Representation) -> Real:
    """Return the features of a patch's points: step 3."""
    d = len(model.grid)
    m = model.features // (2 * d)
    frequencies = [1024.0 ** (j / (m - 1)) if m > 1 else 1.0 for j in range(m)]
    rows = []
    for place in np.ndindex(*model.grid):
        row: list[float] = []
        for p, g in zip(place, model.grid, strict=True):
            x = (2 * p + 1) / g - 1
            row += [math.cos(math.pi * w * x) for w in frequencies] + [
                math.sin(math.pi * w * x) for w in frequencies
            ]
        rows.append(row)
    return np.array(rows)


def layers(x: Real, parameters: Real, model: Representation) -> Real:
    """Return what the network makes of its inputs: step 4."""
    at = 0
    for i, (a, b) in enumerate(pairwise(model.widths)):
        bias, weights = parameters[at : at + b], parameters[at + b : at + b + a * b].reshape(a, b)
        at += b + a * b
        x = x @ weights + bias
        if i + 2 < len(model.widths):
            x = np.sin(x)
    must(bool(np.isfinite(x).all()), "a sample is not finite")
    return x
