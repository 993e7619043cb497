"""The one exception tree of neuralcodec.

Every error that a caller can meet is a :class:`NeuralCodecError`, so ``except NeuralCodecError`` is enough to
survive any input. The branches tell what to do next: get the file again (:class:`CorruptFile`), get a model
(:class:`UnknownModel`, :class:`WrongModel`), change the signal (:class:`UnsupportedInput`).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class NeuralCodecError(Exception):
    """Base of every error that neuralcodec raises on purpose.

    Attributes
    ----------
    source
        The file that the error is about, where one is known (see :func:`naming`); it heads the message.

    >>> issubclass(TruncatedFile, NeuralCodecError)
    True
    """

    source: str | None = None

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.source is None else f"{self.source}: {message}"


@contextmanager
def naming(source: str | os.PathLike[str] | None) -> Iterator[None]:
    """Give the errors of a block the name of the file that they are about, unless they know it already.

    >>> with naming("digit.ncz"):
    ...     raise CorruptFile("the checksum does not match", section="index")
    Traceback (most recent call last):
        ...
    neuralcodec.errors.CorruptFile: digit.ncz: index: the checksum does not match
    """
    try:
        yield
    except NeuralCodecError as error:
        if error.source is None and source is not None:
            error.source = os.fspath(source)
        raise


class NotNeuralCodecFile(NeuralCodecError):
    """The bytes do not start like any file that neuralcodec writes."""


class UnsupportedVersion(NeuralCodecError):
    """A neuralcodec file that this release cannot read: a newer format, codec or mandatory section."""


class CorruptFile(NeuralCodecError):
    """The file breaks a rule of its format or fails a checksum.

    Parameters
    ----------
    message
        What is wrong, with the value found.
    section
        The part of the file that is damaged, in the words of docs/format.md ("header", "chunk 3", ...).

    >>> print(CorruptFile("the checksum does not match", section="index"))
    index: the checksum does not match
    """

    def __init__(self, message: str, section: str | None = None) -> None:
        super().__init__(message)
        self.section = section

    def __str__(self) -> str:
        message: str = self.args[0] if self.section is None else f"{self.section}: {self.args[0]}"
        return message if self.source is None else f"{self.source}: {message}"


class TruncatedFile(CorruptFile):
    """The file ends before the part that is being read does."""


@contextmanager
def within(section: str) -> Iterator[None]:
    """Tell the :class:`CorruptFile` errors of a block which part of the file holds the part that they name.

    >>> with within("chunk 3"):
    ...     raise CorruptFile("the coder does not end empty", section="payload")
    Traceback (most recent call last):
        ...
    neuralcodec.errors.CorruptFile: chunk 3, payload: the coder does not end empty
    """
    try:
        yield
    except CorruptFile as error:
        inner = error.section
        if inner is None or not inner.startswith(section):
            error.section = section if inner is None else f"{section}, {inner}"
        raise


class WrongModel(NeuralCodecError):
    """The model given is not the one that the file was made with; the message names both identities."""


class UnknownModel(NeuralCodecError):
    """No model has this name or identity; the message lists the names that exist.

    >>> print(UnknownModel.named("pc-mnits", ["pc-mnist", "pc-mnist-fast"]))
    no model is called 'pc-mnits'; the models here are pc-mnist, pc-mnist-fast
    """

    @classmethod
    def named(cls, name: str, names: Iterable[str]) -> "UnknownModel":
        """Build the error for a name that no model has."""
        return cls(f"no model is called {name!r}; {cls.listing(names)}")

    @staticmethod
    def listing(names: Iterable[str]) -> str:
        """Return the part of the message that lists the names which exist."""
        known = ", ".join(names)
        return f"the models here are {known}" if known else "there are no models here"


class UnsupportedInput(NeuralCodecError):
    """The signal is not one that the model takes; the message says what it takes and what to do."""


class InvalidModel(NeuralCodecError):
    """A table, a tree or a header that no model can have; the message names the place."""


class InvalidLayer(NeuralCodecError, ValueError):
    """Sizes, ranks or options that no compact layer can have; the message names the numbers and what would do."""


class EntropyCodingError(NeuralCodecError):
    """Symbols and tables that an entropy coder cannot code."""
