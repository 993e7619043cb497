"""The plain reader of command lines reads what Typer reads, and leaves the rest to Typer."""

from typing import Annotated, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from neuralcodec.cli.parameters import argument, for_typer, option, read_plainly

PLAIN = "a b - -- -t --tag=u -m --model --model=x -mx -f --force -fq -q --threads --threads=2 --rate --rate=0.25 3 0.5"
ODD = "--force=1 --no-force --threads=0 -1 300 +3 1_0 ٣ 3.0 --rate=2 --help -h --thr --unknown = --="
WORDS = st.sampled_from([*PLAIN.split(), *ODD.split(), "", " 3"])


def declared(
    inputs: Annotated[list[str], argument("INPUT", "Inputs.")],
    model: Annotated[str, option("--model", "-m", help="Model.")],
    threads: Annotated[int | None, option("--threads", help="Threads.", least=1, most=256)] = None,
    rate: Annotated[float, option("--rate", help="Rate.", least=0, most=1)] = 0.5,
    force: Annotated[bool, option("--force", "-f", help="Force.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Quiet.")] = False,
    tags: Annotated[list[str] | None, option("--tag", "-t", help="Tags.")] = None,
) -> None:
    seen.append((inputs, model, threads, rate, force, quiet, tuple(tags or ())))


def one(
    file: Annotated[str, argument("FILE", "File.")], index: Annotated[str, option("--index", help="")] = ""
) -> None:
    seen.append((file, index))


seen: list[tuple[Any, ...]] = []


def through_typer(verb: Any, words: list[str]) -> tuple[Any, ...] | None:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(for_typer(verb))
    seen.clear()
    result = CliRunner().invoke(app, words)
    return seen[0] if result.exit_code == 0 and seen else None


def plainly(verb: Any, words: list[str]) -> tuple[Any, ...] | None:
    values = read_plainly(verb, words)
    if values is None:
        return None
    seen.clear()
    verb(**values)
    return seen[0]


@given(st.lists(WORDS, max_size=6), st.booleans())
def test_what_is_read_plainly_is_what_typer_reads(words: list[str], with_model: bool) -> None:
    words = [*words, "-m", "y"] if with_model else words
    found = plainly(declared, words)
    if found is not None:
        assert found == through_typer(declared, words)


@given(st.lists(st.sampled_from(["a", "b", "-", "--index", "1", "--index=2", "-1"]), max_size=4))
def test_one_argument(words: list[str]) -> None:
    found = plainly(one, words)
    if found is not None:
        assert found == through_typer(one, words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.png", "-m", "x"], (["a.png"], "x", None, 0.5, False, False, ())),
        (
            ["-m", "x", "a", "-", "-f", "--threads=4", "-t", "u", "--tag=v"],
            (["a", "-"], "x", 4, 0.5, True, False, ("u", "v")),
        ),
        (["--model", "-", "a", "--rate", "0.25", "--quiet"], (["a"], "-", None, 0.25, False, True, ())),
    ],
)
def test_plain_lines_need_no_typer(words: list[str], expected: tuple[Any, ...]) -> None:
    assert plainly(declared, words) == expected == through_typer(declared, words)


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["-m", "x"],
        ["a", "-m"],
        ["a", "-m", "x", "--threads", "0"],
        ["a", "-m", "x", "--threads", "300"],
        ["a", "-m", "x", "--rate", "1.5"],
        ["a", "-m", "x", "--threads", "two"],
        ["a", "-m", "x", "--bogus"],
        ["a", "-m", "x", "--help"],
    ],
)
def test_errors_are_left_to_typer(words: list[str]) -> None:
    assert plainly(declared, words) is None
    assert through_typer(declared, words) is None
