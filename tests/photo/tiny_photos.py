"""Small random models of photographs, and images of many kinds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.photo import payload as payloads
from neuralcodec.photo.model import BIASED, Network, PhotoModel, layer_shapes

SHIFTS = (9, 9, 9, 9)
Image = NDArray[Any]


def tiny_model(planes: int = 3, hidden: int = 8, components: int = 4, seed: int = 0) -> PhotoModel:
    """Return a model of random weights: its mixtures vary from sample to sample, and are no good.

    The network of plane 0 learns in all its layers, that of plane 1 in the last, that of plane 2 in none.
    """
    rng = np.random.default_rng(seed)
    networks = []
    for plane in range(planes):
        shapes = layer_shapes(plane, hidden, components)
        weights = {name: rng.normal(0, 60, shape).astype(np.int32) for name, shape in shapes.items()}
        weights["linear"] //= 4
        biases = {name: rng.normal(0, 2000, shapes[name][0]).astype(np.int32) for name in BIASED}
        networks.append(Network(hidden, components, plane != 1, 2 - plane, SHIFTS, weights, biases))
    return PhotoModel(networks, {"name": "tiny"})


def waves(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a smooth image with some noise, (height, width, channels)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 128 + 60 * np.sin(x / 7 + rng.uniform(0, 6)) + 50 * np.cos(y / 11 + x / 23)
    noise = rng.normal(0, 2, (height, width, channels))
    found: NDArray[np.uint8] = np.clip(base[:, :, None] + noise, 0, 255).astype(np.uint8)
    return found


def deep(image: Image) -> Image:
    """Return an image of 16 bits, with noise."""
    noise = np.random.default_rng(7).integers(0, 257, image.shape, np.uint16)
    return (image * np.uint16(255) + noise).astype(np.uint16)


@contextmanager
def networks_only() -> Iterator[None]:
    """Have all that a network can code coded so: those of tests are worse than what else there is."""
    least = payloads._least
    with (
        mock.patch.object(payloads, "_least", lambda part, coded: coded or least(part, coded)),
        mock.patch.object(payloads, "_looks_synthetic", return_value=False),
        mock.patch.object(payloads, "tables_of", return_value=None),
    ):
        yield


@st.composite
def images(draw: st.DrawFn, most: int = 24) -> Image:
    """Draw an image of any dtype and number of channels that the codec takes: noise, ramps, checks, constants."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    dtype = np.dtype(draw(st.sampled_from(["bool", "uint8", "uint8", "uint8", "uint16"])))
    channels = draw(st.sampled_from([None, 1, 2, 3, 4]))
    shape = (height, width) if channels is None else (height, width, channels)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = 2 if dtype.kind == "b" else int(np.iinfo(dtype).max) + 1
    kind = draw(st.sampled_from(["noise", "few", "ramp", "check", "constant", "extremes"]))
    place = np.indices(shape).sum(0)
    values = {
        "noise": rng.integers(0, top, shape),
        "few": rng.integers(0, 3, shape),
        "ramp": place * int(rng.integers(1, 9)),
        "check": place % 2 * (top - 1),
        "constant": np.full(shape, rng.integers(0, top)),
        "extremes": rng.choice([0, top - 1], shape),
    }[kind]
    return np.ascontiguousarray(values % top).astype(dtype)
