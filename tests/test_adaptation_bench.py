"""The bookkeeping of the proof of adaptation: plans, torn lines, clocks, ratios and the page that keeps its notes."""

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.adaptation import of_plan, parsed
from bench.adaptation_records import append, fullest, keep, records
from bench.adaptation_report import (
    NOTES,
    _kept,
    _machines,
    _steps_table,
    at_end,
    at_second,
    at_step,
    best_step,
    most_judged,
    ratio,
    values_of,
)
from bench.adaptation_run import ARMS, Judge, Setting, Stopwatch, covers, moments, student_of
from bench.table import machine

SETTING = Setting((), "vgg16", "out", {"": "base.safetensors"}, budget=10.0, step_seconds={"": 0.5})


def record(artist: str, *points: tuple[int, float], draw: int = 0, arm: str = "finetune") -> dict[str, Any]:
    return {
        "artist": artist,
        "shots": 10,
        "draw": draw,
        "seed": 0,
        "arm": arm,
        "points": [{"step": step, "seconds": step / 2, "kid-vgg16": value} for step, value in points],
        "end": len(points) - 1,
    }


def broken(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "end": None}


def values(**of: float) -> dict[tuple[str, int, int], float]:
    return {(name, 0, 0): value for name, value in of.items()}


def test_lines_are_appended_and_a_torn_one_is_skipped(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    append(log, {"number": 1})
    with log.open("ab") as file:
        file.write(b'{"number": 2, "poi')  # the bench was killed here
    append(log, {"number": 3})
    assert [found["number"] for found in records(log)] == [1, 3]


def test_records_are_kept_beside_the_page_the_fullest_of_each_case_and_start(tmp_path: Path) -> None:
    kept = tmp_path / "docs" / "runs.jsonl.gz"
    assert list(records(kept)) == []
    whole = {**record("a", (0, 1 / 3), (10, 0.5)), "base": "one"}
    short, other = broken({**record("a", (0, 9.0)), "base": "one"}), {**record("a", (0, 7.0)), "base": "two"}
    keep(kept, [whole, short, other])
    first = kept.read_bytes()
    found = {run["base"]: run for run in records(kept)}
    assert sorted(found) == ["one", "two"]
    assert found["one"]["points"][0]["kid-vgg16"] == 0.333333
    assert found["one"]["end"] == whole["end"]
    keep(kept, [*records(kept), short])
    assert kept.read_bytes() == first
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


# artists have 1, 3 and 2, 2: (1+3)/(2+2) = 1; resampling one artist alone gives 1/2 to 3/2
def test_ratio_is_of_means_over_the_artists_that_both_have() -> None:
    found = ratio(values(a=1.0, b=3.0, c=9.0), values(a=2.0, b=2.0))
    assert found == (1.0, 0.5, 1.5)
    alone = ratio(values(a=1.0), values(a=4.0))
    assert alone is not None
    assert alone[0] == 0.25
    assert math.isnan(alone[1])
    assert ratio(values(a=1.0), values(b=1.0)) is None


# by all runs together step 10 would have the lowest mean, 3; the two that were judged at all three steps say 5
def test_the_best_step_is_told_by_the_runs_that_were_judged_most_often() -> None:
    often = [record("a", (0, 9.0), (5, 4.0), (10, 5.0)), record("b", (0, 9.0), (5, 6.0), (10, 7.0))]
    seldom = [broken(record(name, (10, 0.0), draw=1)) for name in "ab"]
    assert best_step([*often, *seldom], "kid-vgg16", (0, 2, 5, 10)) == 5
    assert best_step([], "kid-vgg16", (0, 2, 5, 10)) is None


def test_a_few_artists_who_were_judged_more_often_do_not_stand_for_all() -> None:
    often = record("a", (0, 9.0), (5, 4.0), (10, 5.0))
    seldom = [broken(record("b", (5, 9.0), (10, 7.0))), broken(record("a", (10, 1.0), draw=1))]
    assert most_judged([often, *seldom], (0, 5, 10)) == ([often, seldom[0]], [5, 10])


# of artist a both have the draws 0 and 1, of b the draw 0: a is (1+3)/2 = 2 over 1, b 4 over 2, so (2+4)/(1+2)
def test_only_the_runs_that_both_have_are_compared_and_draws_come_before_artists() -> None:
    ours = values_of(
        [
            (run, run["points"][0])
            for run in (record("a", (0, 1.0)), record("a", (0, 3.0), draw=1), record("b", (0, 4.0)))
        ]
        + [(record("b", (0, 99.0), draw=1), None)],
        "kid-vgg16",
    )
    theirs = {("a", 0, 0): 1.0, ("a", 1, 0): 1.0, ("a", 2, 0): 50.0, ("b", 0, 0): 2.0, ("b", 1, 0): 7.0}
    found = ratio(ours, theirs)
    assert found is not None
    assert found[0] == 2.0


# after ten steps both artists are there, (1+3)/(2+2); after two a alone, of whom nothing is told beside them
def test_a_step_at_which_fewer_artists_were_judged_is_left_empty() -> None:
    ours = [
        record("a", (2, 1.0), (10, 1.0), arm="meta"),
        broken(record("b", (10, 2.0), arm="meta")),
        broken(record("b", (10, 4.0), draw=1, arm="meta")),
    ]
    theirs = [record(name, (2, 4.0), (10, 2.0), draw=draw) for name in "ab" for draw in (0, 1)]
    table = _steps_table([*ours, *theirs], ["finetune", "meta"], "kid-vgg16", (0, 2, 10))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert rows[0] == ["finetune", "", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]"]
    assert rows[1][:3] == ["meta", "", ""]
    assert rows[1][3].startswith("1.00 [")


def test_a_run_that_was_broken_off_gives_its_points_and_no_end() -> None:
    run = broken(record("a", (10, 0.5), (20, 0.4)))
    assert at_end(run) is None
    assert at_step(run, 10) == run["points"][0]
    assert at_step(run, 0) is None
    assert [at_second(run, second) for second in (1, 5, 12)] == [None, run["points"][0], None]


def test_the_fullest_run_of_a_case_is_taken() -> None:
    whole, short, shorter = record("a", (0, 1.0)), record("a", (0, 1.0), (5, 1.0)), record("a", (0, 1.0))
    found = fullest([broken(short), whole, broken(shorter)])
    assert list(found.values()) == [whole]
    assert list(fullest([broken(short), broken(shorter)]).values()) == [broken(short)]


def test_a_run_covers_a_plan_that_asks_for_no_more_than_it_has() -> None:
    plan = dataclasses.replace(SETTING, at=(0, 10, 50))
    whole = record("a", (0, 1.0), (10, 1.0), (20, 1.0), (50, 1.0))
    short = broken(record("a", (0, 1.0), (10, 1.0)))
    assert covers(whole, plan)
    assert not covers(short, plan)
    assert covers(short, dataclasses.replace(plan, most=10))
    assert covers(whole, dataclasses.replace(plan, most=10))
    assert not covers(short, dataclasses.replace(plan, at=(0, 5), most=10))
    assert covers(record("a", (0, 1.0), arm="none"), plan)
    assert covers(record("a", (0, 1.0), (10, 1.0), (50, 1.0), (ARMS["meta"].steps or 0, 1.0), arm="meta"), plan)


def test_points_are_found_by_step_and_by_second() -> None:
    run = record("a", (0, 1.0), (2, 0.8), (10, 0.5))
    assert at_step(run, 2) == run["points"][1]
    assert at_step(run, 5) is None
    found = [at_second(run, second) for second in (0, 0.9, 1, 4.9, 99)]
    assert found == [run["points"][index] for index in (0, 0, 1, 1, 2)]
    still = record("a", (0, 1.0))
    assert at_step(still, 50) == still["points"][0]


def test_runs_from_a_base_that_is_gone_are_of_the_plan_by_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    here, gone = "a" * 64, "b" * 64
    plan = dataclasses.replace(SETTING, bases={"": here, "figr": gone})
    settings = {"steps": None, "features": "vgg16", "samples": 192, "budget": 10.0}
    run = {**record("a", (0, 1.0), arm="none"), **settings, "base": here, "student": None}
    assert of_plan(run, plan)
    assert not of_plan({**run, "base": gone}, plan)
    student = student_of("figr", {})
    assert student is not None
    assert of_plan({**run, "arm": "figr", "base": gone, "student": dataclasses.asdict(student)}, plan)

    line = ["bench", "a.zip", "--features", "vgg16=f", "--out", "out", "--base", "f", "--base", f"figr={gone}"]
    monkeypatch.setattr(sys, "argv", [*line, "--report"])
    assert parsed().report
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit):
        parsed()


def test_the_page_tells_how_many_runs_another_device_made() -> None:
    runs = [record("a", (0, 1.0)), {**record("b", (0, 1.0)), "device": "cpu"}]
    assert _machines(runs) == f"{machine()}."
    assert _machines([*runs, {**record("c", (0, 1.0)), "device": "cuda"}]) == f"{machine()}. 1 run of these by cuda."


def test_a_rate_scales_all_three() -> None:
    plain, slower = student_of("finetune", {}), student_of("finetune", {"finetune": 1e-4})
    assert plain is not None
    assert slower is not None
    assert slower.learning_rate == 1e-4
    assert slower.judge_rate / plain.judge_rate == pytest.approx(1e-4 / plain.learning_rate)
    assert slower.embedding_rate / plain.embedding_rate == pytest.approx(1e-4 / plain.learning_rate)
    assert student_of("meta", {"finetune": 1e-4}) == ARMS["meta"].student
    assert student_of("none", {}) is None


def test_seconds_are_those_of_an_idle_machine() -> None:
    assert Stopwatch(SETTING, None, cpu=8.0, wall=9.0).seconds == 4.0  # two cores
    assert Stopwatch(dataclasses.replace(SETTING, device="cuda"), None, cpu=8.0, wall=9.0).seconds == 9.0
    assert Stopwatch(SETTING, 0.5, steps=6, start=1.0).seconds == 4.0
    quick = dataclasses.replace(SETTING, step_seconds={"": 0.5, "meta": 0.25})
    assert (quick.step("meta"), quick.step("finetune"), dataclasses.replace(SETTING, step_seconds={}).step("meta")) == (
        0.25,
        0.5,
        None,
    )


def taken(setting: Setting, limit: int | None = None) -> list[tuple[int, str]]:
    """The steps after which something else than a step is done."""
    watch, found = Stopwatch(setting, setting.step("finetune")), []
    for what in moments(setting, limit, watch):
        if what == "step":
            watch.steps += 1
        else:
            found.append((watch.steps, what))
    return found


# half a second a step and ten seconds: the time is over after 20 steps
def test_a_run_is_judged_at_the_fixed_steps_and_where_its_time_is_over() -> None:
    assert taken(dataclasses.replace(SETTING, at=(0, 5))) == [(0, "judge"), (5, "judge"), (20, "end")]
    assert taken(dataclasses.replace(SETTING, at=(0, 5, 50))) == [
        (0, "judge"),
        (5, "judge"),
        (20, "end"),
        (50, "judge"),
    ]
    assert taken(dataclasses.replace(SETTING, at=(0, 20))) == [(0, "judge"), (20, "end")]
    assert taken(dataclasses.replace(SETTING, at=(0, 5, 50), most=7)) == [(0, "judge"), (5, "judge"), (7, "judge")]
    assert taken(SETTING, limit=0) == [(0, "end")]
    assert taken(dataclasses.replace(SETTING, at=(0, 5, 50)), limit=7) == [(0, "judge"), (5, "judge"), (7, "end")]
    assert taken(dataclasses.replace(SETTING, at=(0, 5)), limit=30) == [(0, "judge"), (5, "judge"), (20, "end")]


def test_what_people_wrote_into_the_page_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "ADAPTATION.md"
    assert _kept(page) == f"{NOTES[0]}\n{NOTES[1]}"
    page.write_text(f"# Old\n{NOTES[0]}\nBierstadt convinces.\n{NOTES[1]}\n| old |", encoding="utf-8")
    assert _kept(page) == f"{NOTES[0]}\nBierstadt convinces.\n{NOTES[1]}"


# works at 0, 1, 3 and 7 on a line, support 0 and 7: 1 is nearer to 0 than 0's next one (3), and 3 is nearer to 7 than
# 7's next one (1, at 6); what is nobody's neighbour would not count
def test_a_real_work_counts_where_it_is_the_neighbour_of_one_of_the_support() -> None:
    judge = Judge.__new__(Judge)
    places = torch.tensor([0.0, 1.0, 3.0, 7.0])
    judge.images, judge.rows = torch.zeros(4, 3, 1, 1, dtype=torch.uint8), {index: index for index in range(4)}
    judge.between = (places[:, None] - places).abs().fill_diagonal_(torch.inf)
    assert judge.real_copies(torch.tensor([0, 3])) == (2, 2)
    assert judge.real_copies(torch.tensor([0])) == (1, 3)
