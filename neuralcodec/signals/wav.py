"""WAV files of 16-bit PCM samples, through the standard library."""

import io
import wave
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput

_PLACE = 8


def is_wav(head: bytes) -> bool:
    """Tell a WAV file by its first 12 bytes.

    >>> is_wav(b"RIFF$\\0\\0\\0WAVEfmt ")
    True
    """
    return head[:4] == b"RIFF" and head[_PLACE : _PLACE + 4] == b"WAVE"


def read_wav(data: bytes | memoryview, source: str = "the WAV file") -> tuple[NDArray[np.int16], int]:
    """Return the samples of a WAV file, int16 (T,) or (T, channels), and its sampling rate in Hz.

    Raises
    ------
    UnsupportedInput
        If the file is damaged or cut off, or its samples are not 16-bit PCM.

    >>> file = io.BytesIO()
    >>> write_wav(file, np.array([1, -2], np.int16), 8000)
    >>> read_wav(file.getvalue())
    (array([ 1, -2], dtype=int16), 8000)
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate, frames = (
                file.getsampwidth(), file.getnchannels(), file.getframerate(), file.getnframes(),
            )  # fmt: skip
            if width != 2:
                raise UnsupportedInput(
                    f"{source} has {8 * width}-bit samples; only 16-bit PCM is read: convert it first"
                )
            body = file.readframes(frames)
    except (wave.Error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise UnsupportedInput(
            f"{source} cannot be read as a WAV file of 16-bit PCM: {error or 'it ends early'}"
        ) from None
    if not frames or len(body) != 2 * frames * channels:
        raise UnsupportedInput(f"{source} holds {len(body)} of the {2 * frames * channels} bytes it promises")
    samples = np.frombuffer(body, "<i2").astype(np.int16)
    return samples if channels == 1 else samples.reshape(frames, channels), rate


def is_sound(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> bool:
    """Tell whether a WAV file can hold such samples: int16, (T,) or (T, channels)."""
    return dtype == np.int16 and (len(shape) == 1 or (len(shape) == 2 and shape[1] <= 16))


def write_wav(file: BinaryIO, samples: NDArray[Any], rate: int) -> None:
    """Write int16 samples, (T,) or (T, channels), as a WAV file of `rate` Hz."""
    with wave.open(file, "wb") as out:
        out.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
