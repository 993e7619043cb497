"""The arguments and options of verbs, declared once for two readers.

Typer does the talking: help, and errors in what was typed. But importing it takes longer than coding a small
image does, so a plain command line is read here, by the same declarations; whatever is not plain is left to
Typer. tests/cli/test_parameters.py holds the two to the same reading.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

Verb = Callable[..., None]


@dataclass(frozen=True)
class Option:
    """An option, given in `Annotated`; a parameter of a verb without one is an error.

    An option of type list[str] may be given again and again.

    Attributes
    ----------
    names
        Its spellings, such as "--output" and "-o"; without any, the parameter is a positional argument.
    help, metavar
        For the help text.
    least, most
        Range of a number, both ends included.
    """

    names: tuple[str, ...]
    help: str
    metavar: str | None = None
    least: int | float | None = None
    most: int | float | None = None


def option(
    *names: str,
    help: str,
    metavar: str | None = None,
    least: int | float | None = None,
    most: int | float | None = None,
) -> Option:
    """Declare an option (see `Option`)."""
    return Option(names, help, metavar, least, most)


def argument(metavar: str, help: str) -> Option:
    """Declare a positional argument: of type str for one, list[str] for one or more."""
    return Option((), help, metavar)


def read_plainly(verb: Verb, words: Sequence[str]) -> dict[str, Any] | None:
    """Return what a command line gives the parameters of a verb, or None if it is not plain enough.

    Plain are options that are spelled out, each followed by its value or written as `--name=value`, and
    arguments that do not start with a dash; everything required must be there, and in its range.

    >>> def verb(
    ...     file: Annotated[str, argument("FILE", "")],
    ...     force: Annotated[bool, option("--force", "-f", help="")] = False,
    ...     threads: Annotated[int | None, option("--threads", help="", least=1)] = None,
    ... ) -> None: ...
    >>> read_plainly(verb, ["a.png", "-f"]), read_plainly(verb, ["a.png", "--threads", "0"])
    ({'force': True, 'file': 'a.png'}, None)
    """
    parameters = inspect.signature(verb).parameters
    declared = {name: (_type(parameter), _option(parameter)) for name, parameter in parameters.items()}
    spelled = {spelling: name for name, (_, one) in declared.items() for spelling in one.names}
    given: dict[str, Any] = {}
    loose: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        spelling, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word == "-" or not word.startswith("-"):
            loose.append(word)
            continue
        if spelling not in spelled:
            return None
        name = spelled[spelling]
        kind, one = declared[name]
        if kind is bool:
            if equals:
                return None
            given[name] = True
            continue
        if not equals:
            if not rest or (rest[0].startswith("-") and rest[0] != "-"):
                return None
            value = rest.pop(0)
        if get_origin(kind) is list:
            given.setdefault(name, []).append(value)
            continue
        try:
            given[name] = _value(value, kind, one)
        except ValueError:
            return None
    return _with_arguments(given, loose, parameters)


def _with_arguments(
    given: dict[str, Any], loose: list[str], parameters: "dict[str, inspect.Parameter] | Any"
) -> dict[str, Any] | None:
    """Add the positional arguments; None if too few or too many, or if something required was not given."""
    for name, parameter in parameters.items():
        if not _option(parameter).names:
            if not loose:
                return None
            many = get_origin(_type(parameter)) is list
            given[name] = loose if many else loose[0]
            loose = [] if many else loose[1:]
        elif name not in given and parameter.default is inspect.Parameter.empty:
            return None
    return None if loose else given


def _value(text: str, kind: Any, one: Option) -> Any:
    if kind is str:
        return text
    # Only what every reader of numbers reads alike: no spaces, underscores, exponents, other digits.
    if not (text.isascii() and text.replace(".", "", kind is float).isdigit()):
        raise ValueError(text)
    value = kind(text)
    if (one.least is not None and value < one.least) or (one.most is not None and value > one.most):
        raise ValueError(text)
    return value


def _type(parameter: inspect.Parameter) -> Any:
    """Return the parameter's type, without None and without its option."""
    kind = get_args(parameter.annotation)[0]
    if get_origin(kind) is list:
        return kind
    return next((one for one in get_args(kind) if one is not type(None)), kind)


def _option(parameter: inspect.Parameter) -> Option:
    found: Option = get_args(parameter.annotation)[1]
    return found


def for_typer(verb: Verb) -> Verb:
    """Return a function with the parameters of a verb as Typer wants them declared."""
    import typer

    def command(**given: Any) -> None:
        verb(**given)

    parameters = []
    for name, parameter in inspect.signature(verb).parameters.items():
        kind, one = get_args(parameter.annotation)[0], _option(parameter)
        if one.names:
            info = typer.Option(*one.names, help=one.help, metavar=one.metavar, min=one.least, max=one.most)
        else:
            info = typer.Argument(help=one.help, metavar=one.metavar)
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=parameter.default,
                annotation=Annotated[kind, info],
            )
        )
    command.__name__ = verb.__name__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command
