"""What the classical codecs share: the two libraries that do their work."""

import io
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields
from neuralcodec.codecs.image_file import ImageFileCodec

INSTALL = "pip install 'neuralcodec[eval]'"


class PillowCodec(ImageFileCodec):
    """A format that Pillow writes and reads.

    Attributes
    ----------
    plugin
        Pillow's name of the format.
    feature
        What :mod:`PIL.features` calls the library behind it.
    successor
        What it calls the faster library that may take its place.
    """

    plugin: ClassVar[str]
    feature: ClassVar[str]
    successor: ClassVar[str] = ""

    @classmethod
    def absent(cls) -> str | None:
        """Return what to install if this build of Pillow lacks the format."""
        if cls.feature in _built_in():
            return None
        return f"this Pillow was built without {cls.feature}: pip install --upgrade Pillow"

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of Pillow and the library behind the format."""
        import PIL
        from PIL import features

        library = self.successor if self.successor in _built_in() else self.feature
        return {"Pillow": PIL.__version__, library: str(features.version(library))}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the file that Pillow writes with :meth:`settings`."""
        from PIL import Image

        with io.BytesIO() as file:
            Image.fromarray(image).save(file, self.plugin, **self.settings(image, quality))
            return file.getvalue()

    @abstractmethod
    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image that Pillow reads."""
        from PIL import Image

        with Image.open(io.BytesIO(payload), formats=(self.plugin,)) as image:
            return np.asarray(image)


class ImagecodecsCodec(ImageFileCodec):
    """A format of the library imagecodecs.

    Attributes
    ----------
    part
        Prefix of its functions there.
    flag
        The class there that tells whether it was built in.
    """

    part: ClassVar[str]
    flag: ClassVar[str]

    @classmethod
    def absent(cls) -> str | None:
        """Return what to install if imagecodecs is not here or lacks the format."""
        try:
            available: bool = getattr(cls.library(), cls.flag).available
        except (ImportError, AttributeError):
            return INSTALL
        return None if available else f"this imagecodecs was built without {cls.flag}: {INSTALL}"

    @staticmethod
    def library() -> Any:
        """Return the module imagecodecs."""
        return import_module("imagecodecs")

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of imagecodecs and the library behind the format."""
        library = self.library()
        name, _, version = str(getattr(library, f"{self.part}_version")()).rpartition(" ")
        return {"imagecodecs": library.__version__, name or self.part: version}


@cache
def _built_in() -> frozenset[str]:
    """Return what Pillow was built with; asked for what it does not know, it would warn."""
    from PIL import features

    return frozenset(features.get_supported())
