"""What the Adapt tab does, without a browser: pictures and verdicts, the job, the scrubber, and where models go."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hands import work, write_base, write_works
from PIL import Image
from upscaled import write_upscaler

from studio.core.errors import InvalidRequest
from studio.engine import ClassesRequest, Engine, Pictures
from studio.settings import Settings
from studio.ui import adapt_views
from studio.ui.adapt_jobs import UNTIL_STOPPED, AdaptJobs
from studio.ui.adapt_opening import MAX_HELD, AdaptOpening
from studio.ui.adapt_works import Works
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.opening import OpeningJobs
from studio.ui.style_jobs import StyleJobs
from studio.ui.style_opening import StyleOpening

View = dict[str, Any]
WICKED = '"><script>alert(1)</script>.png'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("bases")
    write_base(folder / "checkpoints")
    return Engine(Settings(home=folder / "home", checkpoints=folder / "checkpoints", device="cpu", threads=1))


@pytest.fixture(scope="module")
def jobs(engine: Engine) -> AdaptJobs:
    return AdaptJobs(engine)


@pytest.fixture
def leaving(jobs: AdaptJobs) -> AdaptOpening:
    engine = jobs.engine
    seeing, mixing = ExploreJobs(engine), ClassesJobs(engine)
    opening = OpeningJobs(engine, seeing, mixing, StyleOpening(StyleJobs(engine), seeing, mixing))
    return AdaptOpening(jobs, opening)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return list(map(str, write_works(tmp_path_factory.mktemp("works"))))


def merged(views: Iterator[View]) -> View:
    """All that was shown in the end."""
    result: View = {}
    for view in views:
        result |= view
    return result


def job(jobs: AdaptJobs, files: list[str], pictures: Pictures, **changes: Any) -> Iterator[View]:
    laid = merged(jobs.add(files, pictures, ()))
    given = {"name": "mine", "method": "embed", "base": "meta", "budget": 20, "crop": "square", "sample": 0}
    return jobs.adapt(pictures, laid["offered"], **{**given, **changes})


@pytest.fixture(scope="module")
def done(jobs: AdaptJobs, files: list[str]) -> tuple[View, Pictures]:
    """An adaptation with two snapshots, stopped at the second."""
    pictures, state = Pictures(), View()
    running = job(jobs, files, pictures, method="meta", budget=20)
    for view in running:
        state |= view
        if state["done"] is not None and len(state["done"].adaptation.stages) == 2:
            break
    running.close()  # type: ignore[attr-defined]
    return state | merged(jobs.stopped(state["done"], 0, pictures)), pictures


def test_every_added_picture_has_its_verdict(jobs: AdaptJobs, files: list[str], tmp_path: Path) -> None:
    (tmp_path / WICKED.replace("/", "")).write_bytes(b"no picture")
    work(9, 30, 30).save(tmp_path / "small.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    work(8).save(tmp_path / "turned.jpg", exif=exif)
    more = [*files, files[0], *sorted(map(str, tmp_path.iterdir()))]
    views = list(jobs.add(more, pictures := Pictures(), ()))
    assert "Looking at picture 1 of 9" in views[0]["status"]
    html = views[-1]["offered_view"]
    assert html.count('class="card"') == 6
    assert html.count('class="card unused"') == 3
    for text in ("the same as another one", "not an image that we know", "30x30 is too small", "Turned upright."):
        assert text in html
    assert "<script" not in html
    assert "6 of 9 pictures will be learned from." in views[-1]["count"]
    laid = merged(jobs.discard({"key": "0"}, pictures, views[-1]["offered"]))
    assert "6 of 8 pictures" in laid["count"]  # the double is now the only one
    assert "Drop 5 to 20 pictures" in merged(jobs.clear(pictures))["offered_view"]


def test_of_more_files_than_can_lie_there_an_even_sample_is_taken(jobs: AdaptJobs, files: list[str]) -> None:
    laid = merged(jobs.add(files * 20, pictures := Pictures(), ()))
    assert len(laid["offered"]) == 60
    assert "Of 100 that you chose 60 were taken, evenly spread." in laid["count"]
    with pytest.raises(InvalidRequest, match="At most 60 pictures can lie here"):
        list(jobs.add(files, pictures, laid["offered"]))


def test_the_first_view_comes_before_any_step_and_the_last_says_why_it_ended(jobs: AdaptJobs, files: list[str]) -> None:
    views = list(job(jobs, files, Pictures()))
    assert "Preparing" in views[0]["status"]
    last = views[-1]
    assert "Done without a step. The start is kept. Base meta, method embed." in last["status"]
    assert last["rows"].count("<img") == 16
    assert "at the start, knowing your pictures" in last["rows"]
    assert last["stage"]["caption"] == "Picture 1"
    assert "The nearest of yours" in last["nearest"]
    assert last["done"].adaptation.reference.startswith("adapter:")
    assert last["done"].adaptation.work is None  # a session holds no weights


def test_stop_keeps_the_last_snapshot(jobs: AdaptJobs, done: tuple[View, Pictures]) -> None:
    state, pictures = done
    kept = state["done"].adaptation
    assert kept.best == 1
    assert jobs.engine.info(kept.reference).title == "mine"
    assert "Stopped by you. The snapshot after" in state["status"]
    assert list(jobs.stopped(state["done"], 0, pictures)) == []  # once is enough
    assert "before there was anything" in merged(jobs.stopped(None, 0, pictures))["status"]


def test_closing_the_page_holds_nothing(jobs: AdaptJobs, files: list[str]) -> None:
    before = set(jobs.engine._library.held._held)
    running = job(jobs, files, Pictures(), method="meta")
    for view in running:
        if view.get("done") is not None:
            break
    running.close()  # type: ignore[attr-defined]
    assert set(jobs.engine._library.held._held) == before


def test_the_scrubber_shows_a_snapshot_and_a_click_another_picture(
    jobs: AdaptJobs, done: tuple[View, Pictures]
) -> None:
    state, pictures = done
    start = merged(jobs.scrubbed(state["done"], 0, 2, pictures))
    assert "at the start" in start["rows"]
    assert start["stage"]["caption"] == "Picture 3"
    picked = merged(jobs.pick({"key": "5"}, state["done"], 1, pictures))
    assert (picked["sample"], picked["stage"]["caption"]) == (5, "Picture 6")
    assert list(jobs.pick({"key": "x"}, state["done"], 1, pictures)) == []
    assert merged(jobs.scrubbed(state["done"], 99, 99, pictures))["stage"]["caption"] == "Picture 8"


def test_the_stage_is_enlarged_when_nothing_moves(jobs: AdaptJobs, done: tuple[View, Pictures], tmp_path: Path) -> None:
    shown = done[0]["done"]
    assert list(jobs.large(shown, 1, 2)) == [], "there is no upscaler"
    write_upscaler(tmp_path / "upscaler.safetensors")
    able = AdaptJobs(Engine(Settings(home=tmp_path, checkpoints=tmp_path, device="cpu", threads=1)))
    assert list(able.large(None, 0, 0)) == []
    claim, view = able.large(shown, 99, 2)
    assert claim == {}
    last = adapt_views.stage(shown.adaptation, 1, 2)
    assert {name: view["stage"][name] for name in ("alt", "caption", "note")} == {
        name: last[name] for name in ("alt", "caption", "note")
    }
    sides = [
        Image.open(io.BytesIO(base64.b64decode(view["stage"][x].partition(",")[2]))).size for x in ("after", "before")
    ]
    assert sides == [(512, 512), (512, 512)]


def test_the_adapter_of_an_earlier_snapshot_is_made_when_it_is_used(
    jobs: AdaptJobs, done: tuple[View, Pictures]
) -> None:
    shown = done[0]["done"]
    assert jobs.reference(shown, 1) == shown.adaptation.reference != jobs.reference(shown, 0)
    with pytest.raises(InvalidRequest, match="no adaptation yet"):
        jobs.reference(None, 0)
    letter = merged(jobs.download(shown, 1))["outbox"]
    assert letter["name"] == "mine.safetensors"
    assert letter["href"].startswith("data:application/octet-stream;base64,")


def test_weights_make_room_within_the_bound(jobs: AdaptJobs, done: tuple[View, Pictures]) -> None:
    whole = jobs.works.whole(done[0]["done"])
    small = Works(max_bytes=1)
    first, second = small.put(whole), small.put(whole)
    assert small.whole(second).work is whole.work
    with pytest.raises(InvalidRequest, match="have made room for newer ones; adapt again"):
        small.whole(first)


def test_an_adapted_model_joins_the_list_of_its_session_alone(
    leaving: AdaptOpening, done: tuple[View, Pictures]
) -> None:
    given = {"previous": "meta", "tables": {}, "strip": (), "recent": ()}
    views = list(leaving.explore(done[0]["done"], 1, (), **given, seed="1", count=2, truncation=0.8))
    head, last = views[0], views[-1]
    reference = head["held"][0]
    assert head["model"].choices == [("mine · not kept", reference), ("meta", "meta")]
    assert head["model"].value == reference == head["previous"]
    assert head["tabs"].selected == "explore"
    assert "adapted from meta" in head["about"]
    assert last["wall_view"].count("<img") == 2
    other = merged(leaving.opening.look(None, ()))["model"]
    assert other.choices == [("meta", "meta")]
    again = merged(leaving.opening.look(reference, head["held"]))["model"]
    assert again.value == reference
    many = tuple(f"adapter:{index:064x}" for index in range(MAX_HELD))
    mixed = merged(leaving.mix(done[0]["done"], 1, many, **given))
    assert len(mixed["held"]) == MAX_HELD
    assert mixed["room"] == mixed["tabs"].selected == "classes"
    assert mixed["mixture"]["weights"] == {"landscape": 0.0, "portrait": 0.0, "mine": 1.0}


def test_a_grid_has_as_many_seeds_as_all_classes_have_room_for(jobs: AdaptJobs, done: tuple[View, Pictures]) -> None:
    """Three classes and 64 pictures at most: 21 seeds of each."""
    request = ClassesRequest(model=done[0]["done"].adaptation.reference, count=40)
    assert ClassesJobs(jobs.engine).fitted(request).count == 21
    few = request.model_copy(update={"count": 6})
    assert ClassesJobs(jobs.engine).fitted(few) == few


def test_keeping_says_when_the_name_is_taken(leaving: AdaptOpening, done: tuple[View, Pictures]) -> None:
    view = merged(leaving.keep("meta", done[0]["done"], 1, " kept ", False, ()))
    assert "Kept in your library as kept" in view["adapt_status"]
    assert ("kept", "kept") in view["model"].choices
    with pytest.raises(InvalidRequest, match="choose another name, or overwrite it"):
        list(leaving.keep("meta", done[0]["done"], 1, "kept", False, ()))
    assert list(leaving.keep("meta", done[0]["done"], 0, "kept", True, ()))


def test_an_adapter_file_can_be_opened(leaving: AdaptOpening, done: tuple[View, Pictures], tmp_path: Path) -> None:
    engine, reference = leaving.jobs.engine, done[0]["done"].adaptation.reference
    (tmp_path / "hers.safetensors").write_bytes(engine.export(reference))
    given = {"previous": "meta", "tables": {}, "strip": (), "recent": ()}
    views = leaving.opened(str(tmp_path / "hers.safetensors"), (), **given, seed="1", count=1, truncation=0.8)
    assert merged(views)["previous"] == reference
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"bad\.safetensors"):
        list(leaving.opened(str(tmp_path / "bad.safetensors"), (), **given, seed="1", count=1, truncation=0.8))


LAID_OUT = """
import json, gradio
from studio.engine import Engine
from studio.settings import Settings
from studio.ui import adapt
found = {}
for profile in ("local", "public"):
    settings = Settings(profile=profile)
    with gradio.Blocks():
        parts = adapt.layout(Engine(settings), settings)
    found[profile] = [sorted(parts), [value for _, value in parts["adapt_budget"].choices]]
print(json.dumps(found))
"""


def test_strangers_can_neither_keep_nor_open_and_have_no_endless_time() -> None:
    """In a process of its own, for gradio leaves the loops of a page that is never served open."""
    answer = subprocess.run([sys.executable, "-c", LAID_OUT], capture_output=True, text=True, timeout=240, check=True)
    (local, long), (public, short) = json.loads(answer.stdout).values()
    assert set(local) - set(public) == {"adapt_keep_button", "adapt_replace", "adapt_file"}
    assert long == [20, 60, 180, UNTIL_STOPPED]
    assert short == [20, 60]


def test_nothing_is_learned_from_nothing(jobs: AdaptJobs) -> None:
    with pytest.raises(InvalidRequest, match="no picture to learn from yet"):
        list(jobs.adapt(Pictures(), (), "mine", "meta", "meta", 20, "square", 0))


def test_an_empty_shelf_says_what_to_put_there(tmp_path: Path) -> None:
    bare = AdaptJobs(Engine(Settings(home=tmp_path, checkpoints=tmp_path, device="cpu")))
    assert "meta.safetensors" in merged(bare.enter("auto"))["none"]


def test_the_tab_offers_the_bases_that_there_are(jobs: AdaptJobs) -> None:
    view = merged(jobs.enter("gone"))
    assert view["none"] == ""
    assert [value for _, value in view["base"].choices] == ["auto", "meta"]
    assert view["base"].value == "auto"


def test_the_time_that_has_gone_is_a_bar() -> None:
    assert 'value="0.250"' in adapt_views.working("Adapting", 0.25)
    assert "<progress></progress>" in adapt_views.working("<b>", None)
    assert "&lt;b&gt;" in adapt_views.working("<b>", None)
