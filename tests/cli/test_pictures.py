"""``studio models``, ``sample`` and ``walk``: files, JSON lines, and one sentence for each mistake."""

import os
from pathlib import Path

import av
import pytest
from adapting import save_adapter, save_base
from PIL import Image
from upscaled import write_upscaler

from studio.core.images import read_recipe


def pixels(path: str | Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_models_lists_what_can_be_opened_and_says_why_the_rest_cannot(studio, library: Path) -> None:
    (library / "broken.safetensors").write_bytes(b"\x08")
    broken, tiny = studio("models", "--json").record["models"]
    assert (tiny["name"], tiny["kind"], tiny["resolution"], tiny["classes"]) == ("tiny", "dcgan", 32, ["blue", "red"])
    assert tiny["error"] is None
    assert broken["error"].endswith(".")
    assert "tiny: dcgan, 32 px" in studio("models").out


def test_an_empty_library_says_how_to_fill_it(studio, library: Path) -> None:
    (library / "tiny.safetensors").unlink()
    assert "train one" in studio("models").out
    assert studio("models", "--json").record == {"models": []}


def test_sample_saves_a_png_with_its_recipe_for_each_seed(studio, library: Path, tmp_path: Path) -> None:
    outcome = studio("sample", "tiny", "--seed", 7, "--count", 3, "--out", tmp_path / "out", "--json")
    assert outcome.status == 0
    assert outcome.record["seeds"] == [7, 8, 9]
    assert outcome.record["files"] == [str(tmp_path / "out" / f"tiny-{seed}.png") for seed in (7, 8, 9)]
    recipes = [read_recipe(Path(file)) for file in outcome.record["files"]]
    assert all(recipe is not None for recipe in recipes)


def test_a_seed_is_the_same_picture_alone_and_in_a_row(studio, library: Path, tmp_path: Path) -> None:
    studio("sample", "tiny", "--seed", 7, "--count", 3, "--out", tmp_path / "row")
    studio("sample", "tiny", "--seed", 8, "--count", 1, "--out", tmp_path / "alone")
    assert pixels(tmp_path / "row" / "tiny-8.png") == pixels(tmp_path / "alone" / "tiny-8.png")


def test_a_larger_picture_is_asked_for_in_pixels(studio, library: Path, tmp_path: Path) -> None:
    write_upscaler(library / "upscaler.safetensors")
    assert studio("sample", "tiny", "--seed", 7, "--count", 1, "--size", 100, "--out", tmp_path).status == 0
    with Image.open(tmp_path / "tiny-7.png") as image:
        assert image.size == (100, 100)
    recipe = read_recipe(tmp_path / "tiny-7.png")
    assert recipe is not None
    assert recipe["request"]["size"] == 100
    assert len(recipe["upscaler"]) == 64
    assert [model["name"] for model in studio("models", "--json").record["models"]] == ["tiny"]


def test_no_recipe_leaves_the_png_without_one(studio, library: Path, tmp_path: Path) -> None:
    studio("sample", "tiny", "--count", 1, "--no-recipe", "--out", tmp_path)
    assert read_recipe(tmp_path / "tiny-0.png") is None


def test_the_library_s_setting_decides_on_the_recipe_otherwise(
    studio, library: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("STUDIO_KEEP_RECIPE", "no")
    studio("sample", "tiny", "--count", 1, "--out", tmp_path)
    assert read_recipe(tmp_path / "tiny-0.png") is None


def test_samples_go_to_the_outputs_folder_by_default(studio, library: Path, tmp_path: Path) -> None:
    (file,) = studio("sample", "tiny", "--count", 1, "--json").record["files"]
    assert Path(file) == tmp_path / "home" / "outputs" / "tiny-0.png"
    assert Path(file).is_file()


def test_classes_are_weighted(studio, library: Path, tmp_path: Path) -> None:
    files = []
    for classes in ("blue=1", "red=1", "red=2", "blue=0.5,red=0.5"):
        outcome = studio("sample", "tiny", "--count", 1, "--class", classes, "--out", tmp_path / classes, "--json")
        files += outcome.record["files"]
    blue, red, red_again, both = map(pixels, files)
    assert red == red_again
    assert len({blue, red, both}) == 3


def test_a_model_can_be_named_by_its_path(studio, library: Path, tmp_path: Path) -> None:
    outcome = studio("sample", library / "tiny.safetensors", "--count", 1, "--out", tmp_path, "--json")
    assert outcome.record["files"] == [str(tmp_path / "tiny-0.png")]


def test_an_adapter_names_its_base_and_paints_at_a_strength(studio, library: Path, tmp_path: Path) -> None:
    save_adapter(library / "hand.safetensors", save_base(library / "paintings.safetensors"))
    assert "hand: adapter of paintings, 32 px" in studio("models").out
    assert [model["base"] for model in studio("models", "--json").record["models"]] == ["paintings", "", ""]
    strong = ("sample", "hand", "--count", 1, "--adaptation", "1.5", "--json")
    (file,) = studio(*strong, "--out", tmp_path / "strong").record["files"]
    recipe = read_recipe(Path(file))
    assert recipe is not None
    assert recipe["request"]["adaptation"] == 1.5
    (plain,) = studio("sample", "hand", "--count", 1, "--out", tmp_path / "plain", "--json").record["files"]
    assert pixels(file) != pixels(plain)
    film = ("walk", "hand", "--seeds", "1,2", "--frames", 2, "--adaptation", 0, "--out", tmp_path / "walk.gif")
    assert studio(*film, "--json").status == 0
    assert "from 0 to 2" in studio("sample", "hand", "--adaptation", "2.5").sentence


@pytest.mark.parametrize("name", ["loop.mp4", "loop.gif"])
def test_walk_films_as_many_frames_as_asked(studio, library: Path, tmp_path: Path, name: str) -> None:
    outcome = studio("walk", "tiny", "--seeds", "1,2,3", "--frames", 9, "--out", tmp_path / name, "--json")
    assert outcome.record["file"] == str(tmp_path / name)
    with av.open(str(tmp_path / name)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 9


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody"], "known: tiny"),
        (["nobody.safetensors"], "does not exist"),
        (["tiny", "--class", "green=1"], "known: blue, red"),
        (["tiny", "--class", "red=nan"], "nan"),
        (["tiny", "--class", "red=-1"], "-1"),
        (["tiny", "--class", "red=0"], "all 0"),
        (["tiny", "--class", "red=much"], "'much'"),
        (["tiny", "--truncation", "nan"], "truncation"),
        (["tiny", "--truncation", "7"], "truncation"),
        (["tiny", "--adaptation", "0.5"], "is no adapter, so adaptation must be 1; got 0.5"),
        (["tiny", "--seed", "seven"], "--seed"),
        (["tiny", "--seed", "-1"], "-1"),
        (["tiny", "--seed", "1" * 30], "seed"),
        (["tiny", "--count", "0"], "count"),
        (["tiny", "--count", "65"], "at most 64"),
        (["tiny", "--colour", "red"], "--colour"),
        ([], "MODEL"),
    ],
)
def test_sample_refuses_bad_input_with_one_sentence(studio, library: Path, args: list[str], says: str) -> None:
    assert says.lower() in studio("sample", *args).sentence.lower()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"\x80\x02}q\x00.", "pickle"),
        (b"PK\x03\x04", "pickle"),
        (b"\xff" * 64, "not a safetensors file"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "another program"),
    ],
    ids=["empty", "pickle", "zip", "noise", "foreign"],
)
def test_a_file_that_is_no_checkpoint_is_refused_with_one_sentence(
    studio, library: Path, content: bytes, says: str
) -> None:
    (library / "bad.safetensors").write_bytes(content)
    sentence = studio("sample", "bad").sentence
    assert "bad.safetensors" in sentence
    assert says in sentence


def test_a_truncated_checkpoint_is_refused_with_one_sentence(studio, library: Path) -> None:
    whole = (library / "tiny.safetensors").read_bytes()
    (library / "bad.safetensors").write_bytes(whole[:-100])
    assert "bad.safetensors" in studio("sample", "bad").sentence


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--seeds", "1"], "at least 2"),
        (["--seeds", "1,two"], "'1,two'"),
        (["--seeds", "1,2", "--frames", "1000"], "at most 600"),
        (["--seeds", "1,2", "--frames", "1"], "frames"),
        (["--seeds", "1,2", "--space", "q"], "space"),
        (["--seeds", "1,2", "--size", "100000"], "size"),
        (["--seeds", "1,2", "--fps", "0"], "fps"),
    ],
)
def test_walk_refuses_bad_input_with_one_sentence(
    studio, library: Path, tmp_path: Path, args: list[str], says: str
) -> None:
    assert says in studio("walk", "tiny", "--out", tmp_path / "w.mp4", *args).sentence
    assert list(tmp_path.glob("*.mp4")) == []


def test_walk_refuses_a_film_of_an_unknown_format(studio, library: Path, tmp_path: Path) -> None:
    assert "'avi'" in studio("walk", "tiny", "--seeds", "1,2", "--out", tmp_path / "w.avi").sentence


@pytest.mark.parametrize("verb", [("sample", "tiny", "--count", 1), ("walk", "tiny", "--seeds", "1,2", "--frames", 4)])
def test_an_output_that_cannot_be_written_is_one_sentence(studio, library: Path, tmp_path: Path, verb) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "Cannot write" in studio(*verb, "--out", tmp_path / "file" / "w.mp4").sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_sentence(studio, library: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "permission" in studio("sample", "tiny", "--count", 1, "--out", tmp_path / "locked").sentence


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    studio, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("studio.core.files.os.fsync", full)
    assert "no space is left" in studio("sample", "tiny", "--count", 1, "--out", tmp_path / "out").sentence
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_setting_of_the_environment_is_one_sentence(studio, library: Path, monkeypatch) -> None:
    monkeypatch.setenv("STUDIO_MAX_COUNT", "many")
    assert "STUDIO_MAX_COUNT" in studio("models").sentence
