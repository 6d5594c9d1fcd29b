"""Documents keep what people wrote; plots and grids are written."""

from pathlib import Path

import pytest

from studio.core.errors import OutputError
from studio.study.document import END, START, table, write_document
from studio.study.plots import curves, dots
from studio.study.statistics import Spread


def test_a_table_sets_numbers_to_the_right() -> None:
    assert table(["a", "n"], [["x", "1"]]) == "| a | n |\n| --- | ---: |\n| x | 1 |"


def test_what_is_written_by_hand_survives_the_next_report(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    write_document(path, ["# First", "", "old figures"])
    text = path.read_text()
    assert "Not written yet" in text
    before, after = text.split(START)[0], text.split(END)[1]
    path.write_text(f"{before}{START}\nReLU, said I.\n\nAnd ELU.\n{END}{after}")
    write_document(path, ["# Second", "", "new figures"])
    assert path.read_text() == f"# Second\n\n{START}\nReLU, said I.\n\nAnd ELU.\n{END}\n\nnew figures\n"


@pytest.mark.parametrize("text", ["no marks", f"{START}\na\n{END}\n{START}\nb\n{END}", f"{END}\na\n{START}"])
def test_a_document_without_one_pair_of_marks_is_not_overwritten(text: str, tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(text)
    with pytest.raises(OutputError, match="must hold one"):
        write_document(path, ["# New", ""])
    assert path.read_text() == text


def test_plots_are_the_same_file_each_time_and_have_no_background(tmp_path: Path) -> None:
    spreads = {"a": Spread((1.0, 2.0)), "b": Spread(())}
    first, second = (dots(tmp_path / f"{n}.svg", {"KID": spreads, "step": spreads}).read_bytes() for n in (1, 2))
    assert first == second
    assert b"#ffffff" not in first
    drawn = curves(tmp_path / "c.svg", {"a": {"blocks.0": [(1, 0.1), (2, 0.2)]}, "b": {}}, "pictures", "norm")
    assert drawn.read_bytes().startswith(b"<?xml")
