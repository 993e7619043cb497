"""Photographs on aarch64 (emulated): tiles decode to the samples, and encode to the bytes, that they have here."""

import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cross.run import CROSS, FLAGS, HERE, SOURCE, emulator
from cross.test_weights import counted, fnv, number
from photo.tiny_photos import tiny_model, waves

from neuralcodec.photo.context import inputs, words
from neuralcodec.photo.model import BIASED, PhotoModel
from neuralcodec.photo.tiles import Box, boxes_array

SOURCES = ("blocks", "circuit", "cpu", "photo", "photo_scalar", "walk_scalar")
SHAPES = ((40, 30, 3), (9, 33, 3), (17, 5, 1), (1, 1, 3))


def model_bytes(model: PhotoModel) -> bytes:
    parts = [number(len(model.networks))]
    for plane, network in enumerate(model.networks):
        linear = np.zeros((network.components, 2 * words(plane)), np.int32)
        linear[:, : 2 * inputs(plane) : 2] = network.weights["linear"]
        parts += map(
            number, (network.hidden, network.components, network.fitted, network.online, *network.shifts)
        )
        weights = [*(network.weights[name] for name in BIASED), linear]
        parts += [counted(w.astype("<i2").tobytes()) for w in weights]
        parts += [counted(network.biases[name].astype("<i4").tobytes()) for name in BIASED]
    return b"".join(parts)


def cases(model: PhotoModel) -> tuple[bytes, list[str]]:
    """What the driver reads, and what it must print, by the installed package."""
    tiles, expected = [], list[str]()
    for shape, dtype in itertools.product(SHAPES, (np.uint8, np.uint16)):
        for streams in (1, 8):
            image = waves(*shape).astype(dtype) * dtype(np.iinfo(dtype).max // 255)
            channels = [1, 0, 2][: shape[2]] if shape[2] == 3 else [0]
            box = boxes_array([Box(0, 0, shape[1], shape[0])])
            coded = model.kernel.encode(image, channels, box, streams)[0]
            sizes = map(number, (8 * image.itemsize, shape[0], shape[1], len(channels), streams))
            tiles.append(b"".join([*sizes, *map(counted, coded)]))
            expected.append(f"{fnv([image[:, :, channels].tobytes()])} {fnv(coded)}")
    return b"".join([model_bytes(model), number(len(tiles)), *tiles]), expected


@pytest.mark.slow
def test_aarch64_codes_alike(tmp_path: Path) -> None:
    run = emulator()
    if run is None or not shutil.which(CROSS):
        pytest.skip(f"{CROSS} or qemu-aarch64 is missing")
    program, file = tmp_path / "driver", tmp_path / "tiles"
    data, expected = cases(tiny_model(3, 12, 8))
    file.write_bytes(data)
    sources = [str(HERE / "photo_driver.cpp"), *(str(SOURCE / f"{name}.cpp") for name in SOURCES)]
    subprocess.run([CROSS, *FLAGS, "-fwrapv", "-static", *sources, "-o", str(program)], check=True)
    done = subprocess.run([run, str(program), str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected
