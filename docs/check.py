"""Checks the documentation: Python examples run as doctests, links to files of the repository resolve.

python docs/check.py
"""

import doctest
import re
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Libraries without which the examples of a page are not run.
NEEDS = {"layers.md": ("torch", "tensorly"), "weights.md": ("torch",)}
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t and not t.startswith("mailto:")]
    return [
        f"{page.relative_to(ROOT)}: {t} does not exist" for t in targets if not (page.parent / t).exists()
    ]


def main() -> int:
    """Check all pages; returns the number of faults."""
    pages = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    faults = [fault for page in pages for fault in broken_links(page)]
    examples = 0
    for page in pages:
        if not all(map(find_spec, NEEDS.get(page.name, ()))):
            print(f"{page.relative_to(ROOT)}: examples not run, they need {' and '.join(NEEDS[page.name])}")
            continue
        result = doctest.testfile(str(page), module_relative=False)
        examples += result.attempted
        faults += [f"{page.relative_to(ROOT)}: {result.failed} examples fail"] if result.failed else []
    print("\n".join(faults) or f"{len(pages)} pages, {examples} examples: all good")
    return len(faults)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
