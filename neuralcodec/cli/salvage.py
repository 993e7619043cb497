"""What `decode --salvage` and `repair` say of a damaged archive."""

from typing import TYPE_CHECKING, Any

from neuralcodec.cli.console import complain, plural

if TYPE_CHECKING:
    from neuralcodec.archives import Damage

LOST = 1
MAX_RUNS = 20


def describe(damage: "Damage") -> dict[str, Any]:
    """Return what an archive lost as a JSON object; "lost" lists the first and the last number of each run."""
    return {
        "complete": damage.complete,
        "recovered": damage.signals,
        "lost": [list(run) for run in damage.lost],
        "end_known": damage.end_known,
        "header_whole": damage.header,
        "index_whole": damage.index,
        "repeated_chunks": damage.repeated,
    }


def tell_damage(file: str, damage: "Damage") -> None:
    """Tell in one line what is wrong with an archive, if anything is."""
    if damage.complete and damage.header and damage.index:
        return
    runs = [str(a) if a == b else f"{a}-{b}" for a, b in damage.lost[:MAX_RUNS]]
    runs += ["..."] if len(damage.lost) > MAX_RUNS else []
    runs += [] if damage.end_known else ["what followed, which the damaged index does not tell"]
    parts = [f"{file} is damaged: {plural(damage.signals, 'signal')} recovered"]
    parts += [f"lost: {', '.join(runs)}"] if runs else ["none lost"] if damage.complete else []
    if damage.repeated:
        parts.append(f"{plural(damage.repeated, 'chunk')} left out, whose numbers another chunk has")
    complain("; ".join(parts))


def end(damage: "Damage") -> None:
    """End with exit code 1 unless every signal is known to be there."""
    if not damage.complete:
        raise SystemExit(LOST)
