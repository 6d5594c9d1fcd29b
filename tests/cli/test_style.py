"""``studio stylize``: files, folders, several styles, and one sentence for each mistake."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_styles import painting, photo, write_styles

from studio.core.images import read_recipe

QUICK = ("--size", 64, "--steps", 2)


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_styles(tmp_path_factory.mktemp("styles"))


@pytest.fixture
def desk(tmp_path: Path, styles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photo, two style pictures and a mask."""
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDIO_CHECKPOINTS", str(styles))
    monkeypatch.setenv("STUDIO_THREADS", "1")
    for name in ("STUDIO_OUTPUTS", "STUDIO_PROFILE", "STUDIO_DEVICE", "STUDIO_KEEP_RECIPE"):
        monkeypatch.delenv(name, raising=False)
    photo().save(tmp_path / "photo.jpg")
    painting().save(tmp_path / "one.png")
    painting(seed=4).save(tmp_path / "two.png")
    photo(30, 30).save(tmp_path / "square.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_a_photo_is_refined_and_carries_its_recipe(studio, desk: Path) -> None:
    outcome = studio("stylize", "photo.jpg", "one.png", "--out", "out.png", *QUICK, "--json")
    assert outcome.status == 0
    assert outcome.record["files"] == ["out.png"]
    assert outcome.record["steps"] == [2]
    assert outcome.record["losses"][0]["total"] > 0
    with Image.open(desk / "out.png") as image:
        assert image.size == (64, 43)
    recipe = read_recipe(desk / "out.png")
    assert recipe is not None
    assert (recipe["verb"], recipe["steps"]) == ("stylize", 2)
    assert str(desk) not in str(recipe)


def test_fast_is_instant_and_a_recipe_can_be_left_out(studio, desk: Path) -> None:
    outcome = studio("stylize", "photo.jpg", "one.png", "--out", "out.png", "--fast", "--size", 64, "--no-recipe")
    assert outcome.out == "Saved out.png.\n"
    assert read_recipe(desk / "out.png") is None


def test_several_styles_are_weighed_and_a_masterwork_is_named(studio, desk: Path) -> None:
    made = {}
    for weights in ("1,0,0", "0.2,0.3,0.5"):
        studio(
            *("stylize", "photo.jpg", "one.png", "two.png", "monet-sunrise", "--weights", weights),
            *("--out", "out.png", "--fast", "--size", 64),
        )
        made[weights] = pixels(desk / "out.png")
    studio("stylize", "photo.jpg", "one.png", "--out", "out.png", "--fast", "--size", 64)
    assert pixels(desk / "out.png") == made["1,0,0"] != made["0.2,0.3,0.5"]


def test_a_folder_is_stylized_whole_and_what_cannot_be_read_is_named(studio, desk: Path) -> None:
    folder = desk / "photos"
    folder.mkdir()
    for seed in range(2):
        photo(seed=seed).save(folder / f"{seed}.png")
    photo(seed=7).save(folder / "1.webp")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "notes.txt").write_text("not a picture")
    outcome = studio("stylize", "photos", "one.png", "--out", "made", "--fast", "--size", 64, "--json")
    assert sorted(path.name for path in (desk / "made").iterdir()) == ["0.png", "1.png.png", "1.webp.png"]
    assert list(outcome.record["skipped"]) == ["broken.jpg"]
    assert "Skipped: broken.jpg" in outcome.err


def test_every_option_reaches_the_request(studio, desk: Path) -> None:
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save(desk / "mask.png")
    studio(
        *("stylize", "photo.jpg", "one.png", "--out", "out.png", *QUICK, "--similarity", "gram=1", "mmd=0.5"),
        *("--optimizer", "adam", "--learning-rate", 0.02, "--tv", 0.1, "--start", "two.png", "--layers", "1,2"),
        *("--seed", 7, "--content-weight", 0.3, "--style-weight", 0.8, "--style-scale", 0.5),
        *("--preserve-color", "linear", "--mask", "mask.png", "--practice", 2),
    )
    recipe = read_recipe(desk / "out.png")
    assert recipe is not None
    request = recipe["request"]
    assert request["similarity"] == {"gram": 1.0, "mmd": 0.5}
    assert (request["optimizer"], request["learning_rate"], request["tv"]) == ("adam", 0.02, 0.1)
    assert (request["layers"], request["seed"], request["preserve_color"]) == ([1, 2], 7, "linear")
    assert (request["content_weight"], request["style_weight"], request["style_scale"]) == (0.3, 0.8, 0.5)
    assert request["styles"][0]["practice"] == 2
    assert len(request["start"]) == len(request["mask"]) == 64


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["photo.jpg", "one.png", "--out", "out.jpg"], "must end in .png"),
        (["nothing.jpg", "one.png", "--out", "out.png"], "nothing.jpg does not exist"),
        (["photo.jpg", "nothing.png", "--out", "out.png"], "nothing.png does not exist"),
        (["photo.jpg", "mona-lisa", "--out", "out.png"], "known: hokusai-great-wave"),
        (["photo.jpg", "--out", "out.png"], "STYLE"),
        (["photo.jpg", *["one.png"] * 5, "--out", "out.png"], "styles"),
        (["photo.jpg", "one.png", "--out", "out.png", "--weights", "0"], "all 0"),
        (["photo.jpg", "one.png", "--out", "out.png", "--weights=-1"], "got -1"),
        (["photo.jpg", "one.png", "--out", "out.png", "--weights", "nan"], "got nan"),
        (["photo.jpg", "one.png", "--out", "out.png", "--weights", "much"], "'much'"),
        (["photo.jpg", "one.png", "--out", "out.png", "--weights", "1,2"], "1 styles and 2 weights"),
        (["photo.jpg", "one.png", "--out", "out.png", "--similarity", "likeness"], "known: gram"),
        (["photo.jpg", "one.png", "--out", "out.png", "--optimizer", "sgd"], "known: lbfgs"),
        (["photo.jpg", "one.png", "--out", "out.png", "--preserve-color", "sepia"], "known: none"),
        (["photo.jpg", "one.png", "--out", "out.png", "--size", "9000"], "from 64 to 4096"),
        (["photo.jpg", "one.png", "--out", "out.png", "--steps", "0"], "steps"),
        (["photo.jpg", "one.png", "--out", "out.png", "--practice", "999"], "from 0 to 200"),
        (["photo.jpg", "one.png", "--out", "out.png", "--mask", "square.png"], "of another shape"),
        (["photo.jpg", "one.png", "--out", "out.png", "--encoder", "vgg"], "'vgg19'"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(studio, desk: Path, args: list[str], says: str) -> None:
    assert says in studio("stylize", *args).sentence
    assert not (desk / "out.png").exists()


def test_an_interrupt_leaves_nothing_half_written(studio, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("studio.core.files._flush", interrupted)
    outcome = studio("stylize", "photo.jpg", "one.png", "--out", "made/out.png", "--fast", "--size", 64)
    assert outcome.status == 130
    assert [path.name for path in desk.rglob("*") if "out" in path.name] == []


def test_without_models_it_says_how_to_get_them(studio, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_CHECKPOINTS", str(desk / "none"))
    assert "studio train encoder" in studio("stylize", "photo.jpg", "one.png", "--out", "out.png").sentence
