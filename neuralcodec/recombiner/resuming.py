"""State of an encoding kept in a file, so that one which was interrupted goes on where it was."""

import hashlib
import os
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput

EVERY_SECONDS = 20.0


class Checkpoint:
    """Keeps the state of an encoding.

    Parameters
    ----------
    path
        The file; it is replaced only by a whole one.
    identity
        Of the model.
    signals
        What is encoded.
    preset
        Its name.
    resume
        Whether to go on from the file if it is there.

    Raises
    ------
    UnsupportedInput
        The file is not a checkpoint, or that of another encoding.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        identity: bytes,
        signals: NDArray[Any],
        preset: str,
        *,
        resume: bool,
    ) -> None:
        self.path = path
        found = hashlib.sha256(f"{identity.hex()} {signals.dtype} {signals.shape} {preset} ".encode())
        found.update(np.ascontiguousarray(signals).data)
        self._key, self._since = found.hexdigest(), time.monotonic()
        self.state: dict[str, Any] | None = self._read() if resume and os.path.exists(path) else None

    def _read(self) -> dict[str, Any]:
        name = os.fspath(self.path)
        try:
            found: dict[str, Any] = torch.load(name, weights_only=True)
            key = found["key"]
        except Exception as error:  # torch.load raises nearly anything
            raise UnsupportedInput(f"{name} is not the checkpoint of an encoding ({error})") from None
        if key != self._key:
            raise UnsupportedInput(
                f"{name} belongs to the encoding of another signal, or with another model or preset; "
                "name another checkpoint, or leave out --resume to begin anew"
            )
        return found

    def offer(self, state: Any) -> None:
        """Write a state, which a call gives, if the last one is old enough."""
        if time.monotonic() - self._since >= EVERY_SECONDS:
            self.write(state())

    def write(self, state: dict[str, Any]) -> None:
        """Write a state."""
        with atomic_file(self.path) as file:
            torch.save({**state, "key": self._key}, file)
        self._since = time.monotonic()

    def remove(self) -> None:
        """Remove the file: the encoding is done."""
        if os.path.exists(self.path):
            os.remove(self.path)
