from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

class Structure:
    def __init__(
        self,
        support: NDArray[Any],
        parent: NDArray[Any],
        variable: NDArray[Any],
        states: NDArray[Any],
        alphabet: NDArray[Any],
        emission: NDArray[Any],
        basis_size: NDArray[Any],
    ) -> None: ...

class CircuitCoder:
    def __init__(
        self,
        structure: Structure,
        floor: int,
        root: NDArray[Any],
        transition: NDArray[Any],
        weight: NDArray[Any],
        free: NDArray[Any],
        basis: NDArray[Any],
    ) -> None: ...
    def encode(
        self, x: NDArray[Any], missing: NDArray[Any] | None, group: int, threads: int, simd: str
    ) -> list[bytes]: ...
    def decode(
        self,
        groups: Sequence[bytes],
        n: int,
        missing: NDArray[Any] | None,
        group: int,
        threads: int,
        simd: str,
    ) -> tuple[NDArray[Any], list[int]]: ...
    def tables(self, x: NDArray[Any], missing: NDArray[Any] | None, simd: str) -> NDArray[Any]: ...

class Learner:
    def __init__(self, structure: Structure) -> None: ...
    def expectation(
        self,
        root: NDArray[Any],
        transition: NDArray[Any],
        weight: NDArray[Any],
        free: NDArray[Any],
        basis: NDArray[Any],
        x: NDArray[Any],
        missing: NDArray[Any] | None,
        counts: tuple[NDArray[Any], ...] | None,
        tile: int,
        threads: int,
    ) -> NDArray[Any]: ...

def maximisation(
    theta: NDArray[Any],
    statistics: NDArray[Any],
    counts: NDArray[Any],
    offset: NDArray[Any],
    rate: float,
    scale: float,
    pseudocount: float,
    threads: int,
) -> None: ...
def encode_tensor(values: NDArray[Any]) -> bytes: ...
def decode_tensor(body: bytes, rows: int, cols: int, threads: int) -> NDArray[Any]: ...
def simd(forced: str) -> str: ...
def pack_transitions(structure: Structure, transition: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]: ...
def philox(key: NDArray[Any], counters: NDArray[Any], simd: str) -> NDArray[Any]: ...
def relative_sample(
    key: NDArray[Any],
    table: NDArray[Any],
    number: NDArray[Any],
    offset: NDArray[Any],
    index: NDArray[Any],
    threads: int,
    simd: str,
) -> NDArray[Any]: ...
def relative_select(
    key: NDArray[Any],
    table: NDArray[Any],
    number: NDArray[Any],
    offset: NDArray[Any],
    centre: NDArray[Any],
    steepness: NDArray[Any],
    peak: NDArray[Any],
    count: int,
    weight: float,
    threads: int,
    simd: str,
) -> NDArray[Any]: ...
def siren_outputs(
    width: list[int],
    features: NDArray[Any],
    own: NDArray[Any],
    parameters: NDArray[Any],
    threads: int,
) -> NDArray[Any]: ...
def siren_gradient(
    width: list[int],
    features: NDArray[Any],
    own: NDArray[Any],
    parameters: NDArray[Any],
    target: NDArray[Any],
    threads: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]: ...

class WeightCoder:
    def __init__(self, gaussian: NDArray[Any], laplace: NDArray[Any]) -> None: ...
    def encode(
        self,
        tensors: list[tuple[Any, ...]],
        step: float,
        bound: float,
        trellis: int,
        price: float,
        only_measure: bool,
        threads: int,
        simd: str,
    ) -> tuple[bytes, bytes, list[bytes], list[tuple[int, float, float, NDArray[Any] | None]]]: ...
    def decode(
        self,
        parameters: bytes,
        stored: bytes,
        blocks: list[bytes],
        tensors: list[tuple[Any, ...]],
        step: float,
        threads: int,
    ) -> list[tuple[NDArray[Any], int]]: ...
    def models(self, parameters: bytes, tensors: list[tuple[Any, ...]]) -> list[dict[str, Any]]: ...

def photo_regressions(image: NDArray[Any], channels: list[int], simd: str) -> NDArray[Any]: ...

class PhotoCoder:
    def __init__(self) -> None: ...
    def add(
        self,
        hidden: int,
        components: int,
        fitted: bool,
        shifts: list[int],
        first: NDArray[Any],
        second: NDArray[Any],
        last: NDArray[Any],
        linear: NDArray[Any],
        first_bias: NDArray[Any],
        second_bias: NDArray[Any],
        last_bias: NDArray[Any],
    ) -> None: ...
    def encode(
        self,
        image: NDArray[Any],
        channels: list[int],
        boxes: NDArray[Any],
        streams: int,
        threads: int,
        simd: str,
    ) -> list[list[bytes]]: ...
    def decode(
        self, tiles: list[list[bytes]], sizes: NDArray[Any], planes: int, threads: int, simd: str
    ) -> list[NDArray[Any] | None]: ...
