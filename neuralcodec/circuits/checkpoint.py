"""State of a training run between two epochs, and the file that keeps it."""

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput

_STRUCTURE = ("parent", "variable", "states", "alphabet", "emission")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the next epoch depends on, beside the data and the recipe.

    Attributes:
        structure, theta: the circuit so far.
        statistics: running averages of expected counts per signal.
        epoch, step: finished epochs and mini-batches.
        best, best_bpd: parameters of this stage's best epoch on the held-out signals.
        stale: epochs since that one.
        last_bpd: held-out bits per dimension after the last epoch.
    """

    structure: TreeStructure
    theta: Parameters
    statistics: Parameters
    epoch: int
    step: int
    best: Parameters | None
    best_bpd: float
    stale: int = 0
    last_bpd: float = float("nan")


def save_checkpoint(path: str | os.PathLike[str], recipe: Recipe, data: str, state: Checkpoint) -> None:
    """Write a checkpoint, `data` naming what was trained on; an older one is replaced only when it is whole."""
    arrays: dict[str, np.ndarray] = {name: getattr(state.structure, name) for name in _STRUCTURE}
    if state.structure.support is not None:
        arrays["support"] = state.structure.support
    parts = {"theta": state.theta, "statistics": state.statistics, "best": state.best}
    for label, tables in parts.items():
        if tables is not None:
            arrays |= {f"{label}.{name}": getattr(tables, name) for name in FIELDS}
    facts = {
        "recipe": recipe.to_json(),
        "data": data,
        "shape": state.structure.shape,
        "dtype": state.structure.dtype.name,
        "basis_size": state.structure.basis_size,
        "floor": state.structure.floor,
        "epoch": state.epoch,
        "step": state.step,
        "best_bpd": state.best_bpd,
        "stale": state.stale,
        "last_bpd": state.last_bpd,
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with atomic_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_checkpoint(
    path: str | os.PathLike[str], recipe: Recipe, data: str | None = None
) -> Checkpoint | None:
    """Read a checkpoint, or return None if there is none; `data` as for :func:`save_checkpoint`, None for any.

    Raises:
        UnsupportedInput: the file is not a checkpoint, or one of another recipe or other data.
    """
    if not Path(path).exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(bytes(file["facts"]))
            arrays = {name: file[name] for name in file.files if name != "facts"}
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise UnsupportedInput(f"{os.fspath(path)} is not a training checkpoint: {error}") from None
    if facts["recipe"] != recipe.to_json():
        changed = sorted(k for k, v in recipe.to_json().items() if facts["recipe"].get(k) != v)
        raise UnsupportedInput(
            f"{os.fspath(path)} belongs to a run with other settings ({', '.join(changed)}); "
            "use the same settings or another checkpoint"
        )
    if data is not None and facts["data"] != data:
        raise UnsupportedInput(
            f"{os.fspath(path)} belongs to a run on other data ({facts['data']}, not {data}); use another checkpoint"
        )
    structure = TreeStructure(
        tuple(facts["shape"]),
        np.dtype(facts["dtype"]),
        **{name: arrays[name] for name in _STRUCTURE},
        basis_size=tuple(facts["basis_size"]),
        support=arrays.get("support"),
        floor=facts.get("floor", TreeStructure.floor),
    ).validate()
    tables = {
        label: Parameters(*(arrays[f"{label}.{name}"] for name in FIELDS))
        for label in ("theta", "statistics", "best")
        if f"{label}.root" in arrays
    }
    return Checkpoint(
        structure,
        tables["theta"],
        tables["statistics"],
        facts["epoch"],
        facts["step"],
        tables.get("best"),
        facts["best_bpd"],
        facts["stale"],
        facts["last_bpd"],
    )
