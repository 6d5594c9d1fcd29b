"""The model card's table and the JSON."""

import json
from pathlib import Path

import pytest

from studio.core.errors import OutputError, StudioError
from studio.evaluation.compare import ClassRow
from studio.evaluation.report import END, HEADING, START, Report, card_section, insert_section, reading, update_card


def report(name: str = "m", kid: float = 0.01234, **metrics: float) -> Report:
    rows = (
        ClassRow("sea|scape", "vgg16", 100, 80, 0.02, 0.004, 0.3, 0.6, 1.1, 0.01),
        ClassRow("portrait", "vgg16", 5, 80),
    )
    values = {"kid-vgg16": kid, "kid-vgg16-deviation": 0.002, "fid-vgg16": 41.26, **metrics}
    return Report(name, ("vgg16",), 1000, 595, 12894, 1.0, 0, values, rows)


def cells(section: str, start: str) -> list[str]:
    (line,) = [line for line in section.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")]


def test_the_table_has_a_column_for_each_report_and_dashes_for_what_was_not_measured() -> None:
    section = card_section({"this model": report(), "DCGAN": report(kid=0.0345, **{"recall-vgg16": 0.25})})
    assert cells(section, "metric") == ["metric", "features", "better", "this model", "DCGAN"]
    assert cells(section, "KID") == ["KID", "vgg16", "lower", "0.0123 ± 0.0020", "0.0345 ± 0.0020"]
    assert cells(section, "FID") == ["FID", "vgg16", "lower", "41.3", "41.3"]
    assert cells(section, "recall") == ["recall", "vgg16", "higher", "–", "0.250"]
    assert "deviation" not in section


def test_the_classes_table_flags_the_collapsed_one_and_escapes_names() -> None:
    section = card_section({"this model": report()})
    assert cells(section, "sea")[0] == "sea¦scape"
    assert cells(section, "sea")[4:8] == ["0.0200 ± 0.0040", "0.300", "0.600", "0.50 **collapsed**"]
    assert cells(section, "portrait")[2:] == ["5", "80", "–", "–", "–", "–", "–", "–"]


def test_longer_names_of_metrics_win() -> None:
    assert reading("diversity-ratio-worst-class-vgg16")[0].startswith("diversity of the worst class")
    assert reading("diversity-ratio-vgg16")[1:] == ("vgg16", "1")
    assert reading("something-else") == ("something-else", "", "")


def test_a_new_card_is_made_and_an_old_one_keeps_its_words(tmp_path: Path) -> None:
    card = tmp_path / "sub" / "painter.md"
    update_card(card, {"this model": report(kid=0.5)})
    assert card.read_text().startswith(f"# painter\n\n{HEADING}\n\n{START}\n")
    card.write_text(card.read_text().replace("# painter", "# Painter\n\nBy hand.") + "\n## Licence\n\nBelow.\n")
    update_card(card, {"this model": report(kid=0.25)})
    text = card.read_text()
    assert text.startswith("# Painter\n\nBy hand.\n")
    assert text.endswith(f"{END}\n\n## Licence\n\nBelow.\n")
    assert "0.2500 ±" in text
    assert "0.5000 ±" not in text
    update_card(card, {"this model": report(kid=0.25)})
    assert card.read_text() == text


def test_backslashes_in_a_section_are_not_group_references() -> None:
    assert insert_section(f"{START}\nold\n{END}", r"a \1 \g<0>") == f"{START}\na \\1 \\g<0>\n{END}"


@pytest.mark.parametrize("text", [START, END, f"{END} {START}", f"{START}{END}{START}{END}"])
def test_broken_markers_are_a_sentence_and_the_card_stays(text: str, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text(text)
    with pytest.raises(StudioError, match=r"card\.md must hold one"):
        update_card(card, {"this model": report()})
    assert card.read_text() == text


def test_an_unwritable_or_binary_card_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        update_card(tmp_path / "file" / "card.md", {"this model": report()})
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudioError, match=r"binary\.md cannot be read as text"):
        update_card(tmp_path / "binary.md", {"this model": report()})


def test_the_json_holds_every_number_and_no_nan() -> None:
    made = report(**{"recall-vgg16": float("nan")}).to_json()
    again = json.loads(json.dumps(made, allow_nan=False))
    assert again == made
    assert again["metrics"] == {"kid-vgg16": 0.01234, "kid-vgg16-deviation": 0.002, "fid-vgg16": 41.26}
    assert again["collapsed"] == ["sea|scape"]
    assert again["classes"][0]["ratio"] == 0.5
    assert again["classes"][1]["kid"] is None
    assert again["size"] == 128
