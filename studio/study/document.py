"""A study's document: what the command writes, and the part between its marks that people write and it keeps."""

import re
from collections.abc import Sequence
from pathlib import Path

from studio.core.errors import OutputError
from studio.core.files import atomic_write

START, END = "<!-- by hand: start -->", "<!-- by hand: end -->"
EMPTY = "*Not written yet: what is between the marks in this file's source is kept when the report is made again.*"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> str:
    """Markdown; columns from `numbers_from` on are set to the right."""
    marks = ["---"] * numbers_from + ["---:"] * (len(heads) - numbers_from)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def write_document(path: Path, parts: Sequence[str]) -> Path:
    """Write the parts as paragraphs; the empty part "" is where the text by hand stands."""
    hand = by_hand(path)
    block = f"{START}\n{hand}\n{END}"
    text = "\n\n".join(part or block for part in parts) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def by_hand(path: Path) -> str:
    """What stands between the marks of an earlier document. Raises OutputError where the marks are not one pair."""
    if not path.exists():
        return EMPTY
    text = path.read_text(encoding="utf-8")
    found = re.findall(f"{re.escape(START)}\n(.*?)\n{re.escape(END)}", text, flags=re.DOTALL)
    if len(found) != 1 or text.count(START) != 1 or text.count(END) != 1:
        raise OutputError(f"{path.name} must hold one {START!r} and after it one {END!r}, or be moved away.")
    return str(found[0])
