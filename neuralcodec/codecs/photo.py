"""Codec `photo`: images without loss, under mixtures that a network reads off causal context (section 11)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact
from neuralcodec.codec import Codec, Fields, Model
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, EntropyCodingError, UnsupportedInput
from neuralcodec.photo.context import inputs
from neuralcodec.photo.model import ONLINE, PhotoModel
from neuralcodec.photo.payload import MOST_CHANNELS, ImageReader, encode_image, payload_of_png
from neuralcodec.photo.tiles import SIDE, Box, Grid

DTYPES = ("bool", "uint8", "uint16")


class PhotoCodec(Codec):
    """Codes images of any size: (H, W), or (H, W, C) of up to 4 channels, of 1, 8 or 16 bits.

    The networks code samples of 8 and 16 bits; bits, and what is no photograph, are coded by simpler means, and are
    no larger for it than a PNG is, nearly.

    Parameters
    ----------
    model
        The networks.
    """

    name = "photo"
    family = "photo"
    parts = True
    keeps_forms = True

    def __init__(self, model: PhotoModel) -> None:
        self._model = model

    @classmethod
    def load(cls, artifact: Artifact) -> PhotoModel:
        """Return the model in an artifact; :class:`InvalidModel` if it breaks a rule of section 11."""
        return PhotoModel.from_artifact(artifact)

    @property
    def model(self) -> PhotoModel:
        """The networks."""
        return self._model

    @property
    def takes(self) -> str:
        """What the codec accepts, in words."""
        return "images of any size with 1 to 4 channels of 1, 8 or 16 bits"

    @classmethod
    def describe(cls, model: Model, signal: SignalType | None = None) -> Mapping[str, Any]:
        """Return sizes and cost of the networks, or how many tiles an image has."""
        assert isinstance(model, PhotoModel)
        if signal is not None:
            return {} if _fault(signal) else {"tiles": len(Grid(signal.shape[0], signal.shape[1], SIDE))}
        costs = [sum(w.size for w in network.weights.values()) for network in model.networks]
        return {
            "planes": len(model.networks),
            "hidden units": ", ".join(str(n.hidden) for n in model.networks),
            "logistics": ", ".join(str(n.components) for n in model.networks),
            "neighbours": ", ".join(str(inputs(plane)) for plane in range(len(model.networks))),
            "learning online": ", ".join(
                ONLINE[n.online] + " layers" * (n.online > 0) for n in model.networks
            ),
            "multiplications a sample": round(sum(costs) / len(costs)),
        }

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None for images of up to 4 channels and 16 bits."""
        return _fault(SignalType(signal.shape, signal.dtype))

    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the payload of an image."""
        if quality is not None or preset is not None:
            raise UnsupportedInput("the codec 'photo' has neither quality nor presets")
        payload = encode_image(self._model, signal)
        if verify and not np.array_equal(
            self.decode(payload, Fields(SignalType(signal.shape, signal.dtype))), signal
        ):
            raise EntropyCodingError("verification failed: the payload does not decode to the image")
        return payload

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image; :class:`CorruptFile` if a tile is damaged."""
        return self._reader(payload, fields.signal).decode()

    def payload_of_png(self, data: bytes, depth: int, step: int) -> bytes | None:
        """Return a payload that keeps the image data of a PNG as it is."""
        return payload_of_png(data, depth, step)

    def decode_part(self, payload: bytes, fields: Fields, crop: tuple[int, int, int, int]) -> NDArray[Any]:
        """Return a part of an image, of which only the tiles it needs are decoded."""
        left, top, width, height = crop
        rows, columns = fields.signal.shape[:2]
        if not (0 <= left <= columns - width and 0 <= top <= rows - height and width > 0 and height > 0):
            raise UnsupportedInput(
                f"the part of {width}x{height} at {left},{top} does not lie in the image of {columns}x{rows}"
            )
        return self._reader(payload, fields.signal).decode(Box(left, top, width, height))

    def salvage(self, payload: bytes, fields: Fields) -> tuple[NDArray[Any], NDArray[np.bool_], list[str]]:
        """Return an image with 0 where tiles are damaged, which samples are lost, and what is wrong."""
        image, lost, faults = self._reader(payload, fields.signal, damaged=True).salvage()
        return image, np.broadcast_to(lost if image.ndim == 2 else lost[:, :, None], image.shape), faults

    def _reader(self, payload: bytes, signal: SignalType, *, damaged: bool = False) -> ImageReader:
        fault = _fault(signal)
        if fault is not None:
            raise CorruptFile(f"{fault}, but the codec takes {self.takes}", "signal description")
        return ImageReader(self._model, payload, signal, damaged=damaged)


def _fault(signal: SignalType) -> str | None:
    """Return None if signals of this kind can be coded, else why not ("it ...")."""
    shape = signal.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] > MOST_CHANNELS):
        return f"it is an array of shape {shape}"
    if signal.dtype.name not in DTYPES:
        return f"its samples are {signal.dtype}"
    return None
