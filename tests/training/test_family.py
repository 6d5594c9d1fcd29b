"""The family's history on generations made up by hand."""

from pathlib import Path

import torch

from studio.training.family import ROWS, Family, Generation, GenerationLog, generations
from studio.training.family_sheet import CELL, family_tree
from studio.training.population import Birth

NAMES = ("minimax", "hinge")


def generation(best: int, mothers: tuple[int, int] = (0, 0), father: int | None = None) -> Generation:
    """Two children, of which `best` is the fitter; the picture of child i is grey of brightness i."""
    scores = torch.tensor([[0.5, -1.0, 0.1], [0.5, -1.0, 0.1]])
    scores[best, 2] = 0.9
    pictures = torch.stack([torch.full((3, 32, 32), float(i)) for i in range(2)])
    born = [Birth("minimax", mothers[0]), Birth("hinge", mothers[1], father, 0.5)]
    return Generation(born, scores, [best], pictures)


def test_a_line_names_children_parents_and_fates() -> None:
    family = Family(2, 1, 32)
    first, second = (family.advance(generation(best), NAMES) for best in (1, 0))
    assert first["generation"] == 0
    assert [(child["id"], child["parents"], child["survives"]) for child in first["children"]] == [
        (1, [0], False),
        (2, [0], True),
    ]
    assert [(child["id"], child["parents"], child["survives"]) for child in second["children"]] == [
        (3, [2], True),
        (4, [2], False),
    ]
    assert second["children"][1]["father_share"] == 0.5
    assert second["children"][1]["mutation"] == "hinge"


def test_the_history_thins_out_and_keeps_who_descends_from_whom() -> None:
    family = Family(2, 1, 32)
    for number in range(ROWS + 1):
        family.advance(generation(best=number % 2), NAMES)  # the mother of generation n was child (n − 1) % 2
    assert int(family.stride) == 2
    assert family.number[: int(family.count)].tolist() == [0, 2, 4, 6, 8]
    # Generation 2's mother was child 1 of generation 1, whose own mother was child 0 of generation 0.
    assert family.mother[: int(family.count), 0].tolist() == [-1, 0, 0, 0, 0]
    family.advance(generation(best=1), NAMES)
    assert int(family.count) == 5, "generation 9 is not kept"
    assert family.roots.tolist() == [0], "its survivor descends from child 0 of generation 8"


def test_a_long_run_keeps_at_most_so_many_rows_evenly_spaced() -> None:
    family = Family(2, 1, 32)
    for number in range(200):
        family.advance(generation(best=number % 2), NAMES)
    numbers = family.number[: int(family.count)].tolist()
    assert len(numbers) <= ROWS
    assert numbers == [int(family.stride) * row for row in range(len(numbers))]
    assert int(family.stride) == 32


def test_thumbnails_frames_and_lines_are_drawn() -> None:
    family = Family(2, 2, 32)
    for best in (1, 0):
        two = generation(best, (0, 1), 0)
        family.advance(Generation(two.births, two.scores, [best, 1 - best], two.thumbnails), NAMES)
    sheet = family_tree(family, NAMES)
    assert sheet.height > 2 * CELL
    colours = {colour for _, colour in sheet.getcolors(1 << 16)}
    assert {(128, 128, 128), (255, 255, 255), (31, 119, 180), (214, 119, 0), (190, 190, 190)} <= colours


def test_an_empty_family_draws_an_empty_sheet() -> None:
    assert family_tree(Family(3, 1, 32), NAMES).width > CELL


def test_a_log_gives_each_generation_as_it_was_last_done(tmp_path: Path) -> None:
    path = tmp_path / "generations.jsonl"
    log = GenerationLog(path, fresh=True)
    for number, note in ((0, "a"), (1, "b"), (2, "lost"), (1, "again"), (2, "c")):
        log.add({"generation": number, "note": note})
    with path.open("a") as file:
        file.write('{"generation": 3, "no')
    assert [line["note"] for line in generations(path)] == ["a", "again", "c"]
    GenerationLog(path, fresh=False)
    assert len(generations(path)) == 3
    GenerationLog(path, fresh=True)
    assert generations(path) == []
