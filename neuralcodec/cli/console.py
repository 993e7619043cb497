"""What all verbs share: errors as one line, text for people, JSON for programs, progress on a terminal."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar

from neuralcodec.errors import NeuralCodecError

P = ParamSpec("P")
R = TypeVar("R")

ERROR, INTERRUPTED = 2, 130


def guarded(verb: Callable[P, R]) -> Callable[P, R]:
    """Make a verb end with one line on standard error and an exit code, never with a traceback.

    Errors of ours, of the system and of memory give code 2, an interrupt gives 130. By then every block that
    writes a file has put things back as they were.
    """

    @functools.wraps(verb)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = verb(*args, **kwargs)
            if sys.stdout is not None:  # it is None if the caller closed it
                sys.stdout.flush()
        except NeuralCodecError as error:
            fail(as_options(str(error)))
        except KeyboardInterrupt:
            complain("interrupted")
            _exit(INTERRUPTED)
        except BrokenPipeError:
            fail("standard output was closed before everything was written")
        except OSError as error:
            fail(os_error(error))
        except MemoryError as error:
            fail(f"not enough memory: {error}" if str(error) else "not enough memory")
        return result

    return wrapper


def as_options(message: str) -> str:
    """Return a message with the command's options in place of Python's.

    >>> as_options("salvage=True reads the chunks that are whole")
    'decode --salvage reads the chunks that are whole'
    """
    return message.replace("salvage=True", "decode --salvage").replace("(decompress ", "(`decode` ")


def os_error(error: OSError) -> str:
    """Return a system's error in words."""
    if error.strerror is None:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror


def fail(message: str) -> NoReturn:
    """Print an error and end with code 2."""
    complain(f"error: {message}")
    _exit(ERROR)


def _exit(code: int) -> NoReturn:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        # What could not be written now would fail again, with a traceback, when the interpreter ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)


def plain(text: str) -> str:
    """Escape what would steer a terminal: names and headers come from files that anyone may have made.

    >>> plain("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    steering = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160)) if c not in (9, 10)}
    return text.translate(steering)


def complain(message: str) -> None:
    """Print one line on standard error, even if that is closed."""
    if sys.stderr is None:  # `print` would take standard output then
        return
    line = plain(" ".join(message.split("\n")))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"neuralcodec: {line}", file=sys.stderr, flush=True)


def tell(message: str, quiet: bool = False) -> None:
    """Print what was done, for a person: only if standard error is a terminal."""
    if not quiet and is_terminal(sys.stderr):
        complain(message)


def echo(text: str) -> None:
    """Print a result on standard output; what its encoding lacks is printed as escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(plain(text).encode(encoding, "backslashreplace").decode(encoding))


def echo_json(value: Any) -> None:
    """Print a result as JSON on standard output."""
    import json

    print(json.dumps(value, indent=2))


def echo_table(table: Sequence[Sequence[str]]) -> None:
    """Print rows of text as columns, the first row being the head."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def is_terminal(stream: Any) -> bool:
    """Tell whether a stream is there and is a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def size(n: int) -> str:
    """Return a number of bytes in words.

    >>> size(131), size(1_500_000)
    ('131 bytes', '1.5 MB')
    """
    if n < 10_000:
        return f"{n} byte{'s' * (n != 1)}"
    value, unit = (n / 1e9, "GB") if n >= 1e9 else (n / 1e6, "MB") if n >= 1e6 else (n / 1e3, "kB")
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def plural(n: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "signal"), plural(2, "signal")
    ('1 signal', '2 signals')
    """
    return f"{n} {noun}{'s' * (n != 1)}"


@contextlib.contextmanager
def progress(
    what: str, total: int | None, *, quiet: bool = False, slow: bool = False
) -> Iterator[Callable[[float], None]]:
    """Show a bar with count, rate and time left on a terminal; elsewhere, do nothing.

    Parameters
    ----------
    what
        The word before the bar.
    total
        How many signals there are to do, None if that is not known.
    quiet
        Show nothing.
    slow
        Whether a signal takes long: one alone has a bar too, and parts of a signal count.

    Yields
    ------
    callable
        To be called with how many more signals are done.
    """
    if quiet or (total == 1 and not slow) or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TaskProgressColumn as Percent
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s")

    counts = (Percent(),) if total == 1 else (MofNCompleteColumn(), Rate())
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)


@contextlib.contextmanager
def fraction_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[float, str], None]]:
    """Show how far something is and what it reached on a terminal; elsewhere, do nothing.

    Yields
    ------
    callable
        To be called with the fraction that is done, and words.
    """
    if quiet or not is_terminal(sys.stderr):
        yield lambda fraction, words: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}")
    with Progress(
        text, BarColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda fraction, words: bar.update(task, completed=fraction, description=words)
