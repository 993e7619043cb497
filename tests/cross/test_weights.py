"""Weights on aarch64 (emulated): the golden files decode to the bytes that they decode to here."""

import shutil
import struct
import subprocess
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest
from cross.run import CROSS, FLAGS, HERE, ROOT, SOURCE, emulator

from neuralcodec.weights import WeightsReader
from neuralcodec.weights.coder import parts_of

KERNELS = ("blocks", "circuit", "cpu", "tensor_coder", "walk_scalar")
SOURCES = (*KERNELS, "weights_coder", "weights_decode", "weights_params", "weights_values")


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def counted(data: bytes) -> bytes:
    return number(len(data)) + data


def fnv(parts: Iterable[bytes]) -> str:
    value = 0xCBF29CE484222325
    for part in parts:
        for byte in part:
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def cases() -> tuple[bytes, list[str]]:
    """What the driver reads, and what it must print, by the installed package."""
    tables = files("neuralcodec.entropy.tables")
    head = [counted((tables / f"{name}.u32").read_bytes()) for name in ("gaussian", "laplace")]
    records, expected = list[bytes](), list[str]()
    for path in sorted((ROOT / "bitstreams").glob("weights-*.ncz")):
        with WeightsReader(path) as reader:
            for place, record in enumerate(reader.index.records):
                specs = reader.specs_of(record)
                stored, blocks = parts_of(reader.body(place), specs, "record")
                layouts = [[spec.count, *map(int, spec.layout)] for spec in specs]
                parts = [struct.pack("<d", reader.index.step), counted(record.parameters), counted(stored)]
                parts += [number(len(blocks)), *map(counted, blocks), number(len(specs))]
                parts += [number(value) for layout in layouts for value in layout]
                records.append(b"".join(parts))
                expected.append(fnv(bytes(data) for data, _ in reader.record(place)))
    return b"".join([*head, number(len(records)), *records]), expected


@pytest.mark.slow
def test_aarch64_decodes_alike(tmp_path: Path) -> None:
    run = emulator()
    if run is None or not shutil.which(CROSS):
        pytest.skip(f"{CROSS} or qemu-aarch64 is missing")
    program, file = tmp_path / "driver", tmp_path / "records"
    data, expected = cases()
    file.write_bytes(data)
    sources = [str(HERE / "weights_driver.cpp"), *(str(SOURCE / f"{name}.cpp") for name in SOURCES)]
    subprocess.run([CROSS, *FLAGS, "-static", *sources, "-o", str(program)], check=True)
    done = subprocess.run([run, str(program), str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
