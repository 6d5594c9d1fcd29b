"""The Lab's handlers over small models."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from critics import write_classifier
from PIL import Image
from served import ROOT, shelf

from studio.core.errors import CheckpointError, InvalidRequest, UnknownName
from studio.engine import Along, Engine, Moved, Own, Seeded
from studio.settings import Settings
from studio.ui import lab_studies, lab_views
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import ExploreJobs
from studio.ui.handlers import View
from studio.ui.lab_find_jobs import RANKS, FindJobs, moved
from studio.ui.lab_jobs import LabJobs
from studio.ui.lab_train_jobs import TrainJobs, recipes
from studio.ui.opening import OpeningJobs
from studio.ui.style_jobs import StyleJobs
from studio.ui.style_opening import StyleOpening

WICKED = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with "small" (three classes), "plain" (none) and a critic of blue and red."""
    home = tmp_path_factory.mktemp("lab")
    write_classifier(shelf(home / "checkpoints") / "classifier.safetensors")
    return Engine(Settings(home=home, checkpoints=home / "checkpoints", device="cpu", threads=1))


@pytest.fixture
def finding(studio: Engine) -> FindJobs:
    seeing, mixing = ExploreJobs(studio), ClassesJobs(studio)
    return FindJobs(studio, OpeningJobs(studio, seeing, mixing, StyleOpening(StyleJobs(studio), seeing, mixing)))


def last(views: Iterator[View]) -> View:
    """What the page shows in the end."""
    merged: View = {}
    for view in views:
        merged |= view
    return merged


def sources(html: str) -> list[str]:
    return re.findall(r'src="([^"]+)"', html)


def colour(path: Path, rgb: tuple[int, int, int]) -> str:
    Image.new("RGB", (40, 30), rgb).save(path)
    return str(path)


def test_the_tab_opens_with_two_models_side_by_side(studio: Engine) -> None:
    view = last(LabJobs(studio).enter([], 1, 3, 0.8))
    assert view["models"].value == ["meta", "plain"]
    assert view["critic_none"] == ""
    assert len(sources(view["rows"])) == 6


def test_a_column_is_the_same_seed_by_each_model(studio: Engine) -> None:
    jobs = LabJobs(studio)
    rows = last(jobs.beside(["small", "plain"], 5, 2, 0.8))["rows"]
    assert re.findall(r'alt="([^"]+)"', rows) == [f"Seed {s} by {m}" for m in ("small", "plain") for s in (5, 6)]
    from studio.ui.pictures import data_uri

    assert sources(rows)[3] == data_uri(studio.render("plain", 6).image)
    assert "not measured yet" in rows


def test_truncation_and_seed_move_the_rows(studio: Engine) -> None:
    jobs = LabJobs(studio)
    pictures = [
        sources(last(jobs.beside(["plain"], *rest))["rows"]) for rest in ((1, 2, 0.8), (1, 2, 0.1), (2, 2, 0.8))
    ]
    assert pictures[0] != pictures[1]
    assert pictures[0][1] == pictures[2][0]


def test_five_models_are_too_many(studio: Engine) -> None:
    with pytest.raises(InvalidRequest, match="At most 4 models"):
        list(LabJobs(studio).beside(["small"] * 5, 1, 1, 0.8))
    assert sources(last(LabJobs(studio).beside([], 1, 1, 0.8))["rows"]) == []


def test_a_card_asks_for_nothing_and_holds_no_markup() -> None:
    text = (
        "# a\n![x](http://far/away.png) [its card](a.md) [web](https://b.org) ![y][z] <img src=c> <!-- evaluation -->"
    )
    assert lab_views.harmless(text) == "# a\n*x* its card [web](https://b.org) *y* &lt;img src=c> "


def test_quality_is_told_by_judge(studio: Engine) -> None:
    from dataclasses import replace

    metrics = {"kid-vgg16": 0.0157, "kid-vgg16-deviation": 0.1, "diversity-ratio-vgg16": 0.92, "fid-lite0": 14.0}
    info = replace(studio.info("small"), metrics=metrics)
    assert lab_views.quality(info) == ["KID 0.016 · diversity 0.92 (by vgg16)", "FID 14 (by lite0)"]


def test_the_critic_says_what_a_picture_is_of_and_where(studio: Engine, tmp_path: Path) -> None:
    jobs = LabJobs(studio)
    view = last(jobs.take(colour(tmp_path / "sky.png", (0, 0, 255))))
    (first, pressed), (second, other) = re.findall(r'data-key="(\w+)" aria-pressed="(\w+)"', view["bars"])
    assert {first, second} == {"blue", "red"}
    assert (pressed, other) == ("true", "false")
    shares = [float(share) for share in re.findall(r'class="share">([\d.]+) %', view["bars"])]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert shares[0] >= shares[1]
    assert f'alt="Where {first} is seen"' in view["critic_view"]
    looked = last(jobs.look({"key": second}, view["judged"]))
    assert f'data-key="{second}" aria-pressed="true"' in looked["bars"]
    assert sources(looked["critic_view"])[0] == sources(view["critic_view"])[0]
    assert f"{second}, " in looked["critic_view"]


def test_the_picture_of_explore_goes_to_the_critic(studio: Engine) -> None:
    view = last(LabJobs(studio).explored("plain", Seeded(seed=3), 0.8, 1.0))
    assert "plain 3" in view["lab_critic_view"]
    assert view["lab_benches"].selected == "critic"
    with pytest.raises(InvalidRequest, match="no current picture"):
        list(LabJobs(studio).explored("plain", None, 0.8, 1.0))


def test_without_a_critic_there_is_a_sentence(tmp_path: Path) -> None:
    jobs = LabJobs(Engine(Settings(home=tmp_path, checkpoints=tmp_path, device="cpu")))
    assert "studio train classifier" in last(jobs.enter([], 1, 1, 0.8))["critic_none"]
    with pytest.raises(CheckpointError, match="studio train classifier"):
        list(jobs.take(colour(tmp_path / "a.png", (1, 2, 3))))


def test_a_picture_of_one_s_own_is_found_and_explored(finding: FindJobs, tmp_path: Path) -> None:
    taken = last(finding.take(colour(tmp_path / "mine.png", (200, 40, 40))))
    views = list(finding.search(taken["image"], "small", 0.3))
    assert all("Your picture" in view["stage"] for view in views)
    assert "Distance " in views[-1]["stage"]
    own = views[-1]["subject"]
    assert isinstance(own, Own)
    shown = last(finding.explore("small", own, 0.8, "pca", 0, 0, 0, 0, "", 0, {}, "plain", {}, (), ()))
    assert (shown["model"], shown["current"]) == ("small", own)
    assert len(shown["wall"]) == 9
    assert 'alt="Picture of a picture of your own' in shown["stage"]


def test_nothing_to_look_for_is_a_sentence(finding: FindJobs) -> None:
    with pytest.raises(InvalidRequest, match="no picture to look for"):
        list(finding.search(None, "small", 1))
    with pytest.raises(InvalidRequest, match="no picture to move"):
        list(finding.live("small", None, 0.8, "pca", 1, 0, 0, 0, "", 0, {}))


def test_sliders_move_the_picture_along_directions(finding: FindJobs, studio: Engine) -> None:
    seed = Seeded(seed=7)
    level = last(finding.live("small", seed, 0.8, "pca", 0, 0, 0, 0, "", 0, {}))["stage"]
    assert len(sources(level)) == 1
    shown = sources(last(finding.live("small", seed, 0.8, "pca", 2.0, 0, 0, 0, "", 0, {}))["stage"])
    assert shown[0] == sources(level)[0] != shown[1]
    one = Moved(moved=seed, along=Along(kind="pca", index=1), amount=2.0)
    assert moved(seed, "pca", (0, 2.0, 0, 0), "", 0, {}) == one
    two = moved(seed, "pca", (0, 2.0, 0, 0), "mine", -1, {})
    assert two == Moved(moved=one, along=Along(kind="saved", name="mine"), amount=-1)


def test_a_direction_is_named_kept_and_used(finding: FindJobs, studio: Engine) -> None:
    view = last(finding.keep("small", "pca", 1, " warmer ", "", {}))
    assert view["named"].value == "warmer"
    assert studio.directions("small") == ("warmer",)
    by_name = last(finding.live("small", Seeded(seed=7), 0.8, "pca", 0, 0, 0, 0, "warmer", 2.0, {}))["stage"]
    by_rank = last(finding.live("small", Seeded(seed=7), 0.8, "pca", 0, 2.0, 0, 0, "", 0, {}))["stage"]
    assert sources(by_name) == sources(by_rank)
    with pytest.raises(InvalidRequest, match="name must have"):
        list(finding.keep("small", "pca", 0, "  ", "", {}))


def test_the_critic_finds_more_of_a_class(finding: FindJobs, studio: Engine) -> None:
    views = list(finding.more("small", "red", {}))
    assert "The critic looks for more red" in views[0]["status"]
    found = views[-1]["found"]
    assert views[-1]["named"].value == "more red"
    before = [Seeded(seed=seed) for seed in range(16)]
    after = [moved(picture, "pca", (0,) * RANKS, "more red", 3.0, found) for picture in before]
    odds = [[studio.classify(studio.render("small", one).image)["red"] for one in some] for some in (before, after)]
    assert sum(odds[1]) > sum(odds[0])  # a direction holds for most pictures, and not for each
    with pytest.raises(UnknownName, match="known: blue, red"):
        list(finding.more("small", "green", {}))


@pytest.mark.parametrize(("profile", "there"), [("local", True), ("public", False)])
def test_training_is_in_the_local_profile_alone(tmp_path: Path, profile: str, there: bool) -> None:
    program = (
        "import json, sys\nfrom studio.engine import Engine\nfrom studio.settings import Settings\n"
        "from studio.ui.app import build, launch_options\nsettings = Settings.from_environment()\n"
        "page = build(Engine(settings), settings)\n"
        "labels = sorted({str(getattr(block, 'label', '')) for block in page.blocks.values()})\n"
        "print(json.dumps([labels, launch_options(settings)['max_file_size']]))"
    )
    environment = {**os.environ, "STUDIO_HOME": str(tmp_path), "STUDIO_PROFILE": profile}
    answer = subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, check=True)
    labels, largest = json.loads(answer.stdout.splitlines()[-1])
    assert {name: name in labels for name in ("Train", "Folder of pictures", "Or choose a zip of it")} == dict.fromkeys(
        ("Train", "Folder of pictures", "Or choose a zip of it"), there
    )
    assert "Studies" in labels
    assert (largest > 1 << 30) is there


def test_what_trains_generators_can_be_chosen(studio: Engine) -> None:
    view = next(iter(TrainJobs(studio).enter("")))
    offered = [name for _, name in view["recipe"].choices]
    assert {"gan", "cgan", "dcgan", "vae", "egan"} <= set(offered)
    assert {"classifier", "encoder", "stylizer"} & set(offered) == set()
    assert offered == list(recipes())
    assert view["generator_activation"].interactive
    assert not last(TrainJobs(studio).choose("vae"))["generator_activation"].interactive


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"folder": ""}, "nothing to learn from"),
        ({"folder": "/nowhere"}, "/nowhere"),
        ({"name": "small"}, "model 'small' already"),
        ({"recipe": "classifier"}, "must be one of"),
        ({"resolution": 33}, "33"),
        ({"upload": "/tmp/a.zip"}, "not both"),
        ({"minutes": 0}, "got 0 seconds"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(
    studio: Engine, tmp_path: Path, values: dict[str, object], part: str
) -> None:
    given = {"name": "mine", "recipe": "dcgan", "resolution": 32, "folder": str(tmp_path), "upload": None, "minutes": 1}
    given |= {"generator_activation": "elu", "discriminator_activation": "", **values}
    jobs = TrainJobs(studio)
    with pytest.raises(InvalidRequest, match=re.escape(part)):
        list(jobs.start(**given))  # type: ignore[arg-type]
    assert jobs.runs.all() == []


def test_runs_wait_their_turn_and_say_so(studio: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = TrainJobs(Engine(Settings(home=tmp_path, checkpoints=studio.settings.checkpoints, device="cpu")))
    monkeypatch.setattr(type(jobs.runs), "tend", lambda self: None)
    for name in ("one", "two"):
        view = last(jobs.start(name, "dcgan", 32, "elu", "", str(tmp_path), None, 5))
    assert "two waits until one is done" in view["status"]
    assert "waits for 1 before it" in view["list"]
    first, second = jobs.runs.all()
    assert first.order.model == {"resolution": 32, "generator_activation": "elu"}
    assert "Resume two" in last(jobs.pause({"key": second.key}))["list"]
    assert "two" not in last(jobs.keep({"key": second.key}))["list"]
    ticked = last(jobs.watch("lab", (), "", "", ""))
    assert "one" in ticked["live"]
    assert ticked["finished"] == "done"
    assert last(jobs.watch("lab", (), ticked["listed"], ticked["lively"], "done")) == {}
    assert not last(jobs.watch("explore", (), "", "", ""))["timer"].active


def test_names_never_become_markup(studio: Engine) -> None:
    assert "<script" not in lab_views.bars({WICKED: 1.0}, WICKED)
    assert "<script" not in lab_views.pair([(Image.new("RGB", (2, 2)), WICKED)], WICKED, WICKED)
    assert "<script" not in lab_views.curves({WICKED: [(0.0, 1.0), (1.0, 2.0)]})


def test_curves_go_from_the_least_to_the_largest() -> None:
    html = lab_views.curves({"generator": [(10.0, 3.0), (20.0, 1.0), (30.0, 2.0)]})
    assert 'points="0.0,2.0 150.0,88.0 300.0,45.0"' in html
    assert "generator from 3 to 2" in html


def test_a_study_that_is_not_there_names_its_command(tmp_path: Path) -> None:
    view = last(lab_studies.entering(tmp_path, tmp_path)())
    assert "studio study activations --data" in view["activations_none"]
    assert not view["objectives_kid"].visible


def test_a_model_that_is_trained_joins_the_list_and_what_is_held_stays(studio: Engine, tmp_path: Path) -> None:
    view = last(TrainJobs(studio).watch("lab", ("small",), "", "", "done one"))
    labels = [label for label, _ in view["model"].choices]
    assert any(label.endswith("not kept") for label in labels)
    assert {"model", "lab_models", "find_target"} <= set(view)


def test_what_came_with_a_document_becomes_plots(tmp_path: Path) -> None:
    plan = {"setting": "G relu", "seed": 0, "features": "vgg16"}
    (tmp_path / "activations.json").write_text(json.dumps([{"plan": plan, "metrics": {"kid-vgg16": 0.5}}]))
    view = last(lab_studies.entering(tmp_path, tmp_path / "studies")())
    assert view["activations_kid"].visible
    assert not view["activations_gradient"].visible
    assert view["activations_grid"] == ""
    (tmp_path / "activations.webp").write_bytes(b"RIFF")
    shown = last(lab_studies.entering(tmp_path, tmp_path / "studies")())["activations_grid"]
    assert 'src="data:image/webp;base64,UklGRg=="' in shown
    assert 'alt="' in shown


def test_a_study_s_records_become_plots(tmp_path: Path) -> None:
    folder = tmp_path / "activations" / "runs" / "relu"
    folder.mkdir(parents=True)
    probe = {"images": 32, "gradients": {"generator": {"a": 1.0, "b": 2.0}, "discriminator": {"c": 3.0}}}
    plan = {"setting": "G relu", "seed": 0, "features": "vgg16=a.pth"}
    record = {"plan": plan, "metrics": {"kid-vgg16": 0.25}, "probes": [probe]}
    (folder / "record.json").write_text(json.dumps(record))
    (tmp_path / "ACTIVATIONS.md").write_text("# Study\n\n![plot](a.svg)\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    row = {"setting": "G relu", "place": 1, "seed": "seed 0", "KID": 0.25}
    assert lab_studies.qualities([record]) == [row]
    assert lab_studies.gradients([record], ["G relu"]) == [{"setting": "G relu", "pictures seen": 32, "gradient": 2.0}]
    assert lab_studies.gradients([record], ["G elu"]) == []
    view = last(lab_studies.entering(tmp_path, tmp_path)())
    assert view["activations_none"] == ""
    assert "| 1 | 2 |" in view["activations_text"]
    assert view["activations_kid"].visible
    assert view["activations_chosen"].value == ["G relu"]
    drawn = last(lab_studies.choosing(tmp_path, tmp_path)(["G relu"]))
    assert drawn["activations_gradient"].visible
    zoomed = last(lab_studies.zooming("activations_kid")({"index": [1, 2], "selected": True}))
    assert zoomed["activations_kid"].x_lim == [1.0, 2.0]
