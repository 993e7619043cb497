"""Options of a codec: what a spec such as ``avif:speed=8`` may set, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from neuralcodec.errors import UnsupportedInput

Value = bool | int | float | str
_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Option:
    """One setting of a codec, beside its rate parameter.

    Attributes
    ----------
    default
        Its value if nothing is said; its type is the type of all values.
    meaning
        What it does, in a few words.
    least, greatest
        Range of a number, both ends included.
    choices
        What a text may be.
    """

    default: Value
    meaning: str
    least: float | None = None
    greatest: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def values(self) -> str:
        """What it may be, in words.

        >>> Option(6, "speed", 0, 10).values, Option(False, "progressive").values
        ('0 to 10', 'yes or no')
        """
        if isinstance(self.default, bool):
            return "yes or no"
        if self.choices:
            return " or ".join(self.choices)
        if isinstance(self.default, str):
            return "a text"
        ends = [f"{end:g}" for end in (self.least, self.greatest) if end is not None]
        return " to ".join(ends) if len(ends) == 2 else " or more".join([*ends, ""]) or "a number"

    def read(self, given: Value) -> Value:
        """Return a value, given as text or as what it is; ValueError if it cannot be that."""
        if isinstance(self.default, bool):
            value: Value = _TRUTH[given.lower()] if isinstance(given, str) else _exactly(bool, given)
        elif isinstance(self.default, str):
            value = _exactly(str, given)
            if self.choices and value not in self.choices:
                raise ValueError(value)
        else:
            value = type(self.default)(given)
            low = -float("inf") if self.least is None else self.least
            high = float("inf") if self.greatest is None else self.greatest
            if not low <= value <= high:
                raise ValueError(value)
        return value


def read_options(codec: str, declared: Mapping[str, Option], given: Mapping[str, Value]) -> dict[str, Value]:
    """Return the value of every declared option.

    Parameters
    ----------
    codec
        Name of the codec, for messages.
    declared
        Its options by name.
    given
        Those that are set, as text (from a spec) or as values of their type.

    Raises
    ------
    UnsupportedInput
        If the codec has no such option, or the option no such value; the message lists what there is.

    >>> speed = {"speed": Option(6, "encoder speed", 0, 10)}
    >>> read_options("avif", speed, {"speed": "8"}), read_options("avif", speed, {})
    ({'speed': 8}, {'speed': 6})
    >>> read_options("avif", speed, {"sped": "8"})
    Traceback (most recent call last):
        ...
    neuralcodec.errors.UnsupportedInput: avif has no option 'sped'; its options are speed=6 (0 to 10)
    """
    values = {name: option.default for name, option in declared.items()}
    for name, text in given.items():
        if name not in declared:
            raise UnsupportedInput(f"{codec} has no option {name!r}; {listing(declared)}")
        try:
            values[name] = declared[name].read(text)
        except (ValueError, KeyError, OverflowError):
            raise UnsupportedInput(f"{codec}: {name} is {declared[name].values}, not {str(text)!r}") from None
    return values


def listing(declared: Mapping[str, Option]) -> str:
    """Return the part of a message that lists the options which exist."""
    if not declared:
        return "it has none"
    shown = (f"{name}={_shown(option.default)} ({option.values})" for name, option in declared.items())
    return f"its options are {', '.join(shown)}"


def _shown(value: Value) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _exactly(kind: type[Value], given: Value) -> Value:
    if not isinstance(given, kind):
        raise ValueError(given)
    return given
