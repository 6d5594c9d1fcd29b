"""A picture's recipe in its PNG."""

import errno
import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from handmade import png, text_chunk
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import json_values

from studio.core import recipe as recipes
from studio.core.errors import ImageError, InvalidRequest, OutputError
from studio.core.images import encode_png, open_image, read_recipe, save_png

PICTURE = Image.new("RGB", (4, 4), (1, 2, 3))
RECIPE: dict[str, Any] = {
    "version": "0.1.0",
    "model": "paintings",
    "pictures": [{"mix": [{"seed": 7}, {"of": {"seed": 8}, "radius": 0.3, "seed": 5}], "groups": ["fine"]}],
    "classes": {"paysage d'été": 0.7, "海": 0.3},
}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"seed": 1}
    for _ in range(depth - 1):
        value = {"of": value}
    return value


def test_a_recipe_comes_back(tmp_path: Path) -> None:
    save_png(PICTURE, tmp_path / "out.png", RECIPE)
    assert read_recipe(tmp_path / "out.png") == RECIPE
    assert open_image(tmp_path / "out.png").getpixel((0, 0)) == (1, 2, 3)
    assert open_image(tmp_path / "out.png").info == {}


@given(st.dictionaries(st.text(max_size=8), json_values(), max_size=5))
def test_any_json_object_comes_back(recipe: dict[str, Any]) -> None:
    assert read_recipe(encode_png(PICTURE, recipe)) == recipe


def test_the_chunk_is_text_that_other_programs_read() -> None:
    with Image.open(io.BytesIO(encode_png(PICTURE, {"seed": 7}))) as image:
        assert image.info == {"atelier": '{"seed":7}'}


def test_a_picture_without_recipe_has_none(tmp_path: Path) -> None:
    save_png(PICTURE, tmp_path / "out.png")
    assert read_recipe(tmp_path / "out.png") is None
    assert b"tEXt" not in (tmp_path / "out.png").read_bytes()


def test_a_png_that_was_cut_off_is_not_said_to_have_been_saved_without_a_recipe() -> None:
    whole = encode_png(Image.effect_noise((64, 64), 60), RECIPE)
    after_recipe = whole.index(recipes.KEY.encode()) + 600
    assert read_recipe(io.BytesIO(whole[:after_recipe])) == RECIPE
    before_recipe = encode_png(Image.effect_noise((64, 64), 60))[:600]
    with pytest.raises(ImageError, match="ends in the middle"):
        read_recipe(io.BytesIO(before_recipe))


def test_no_other_metadata_is_written() -> None:
    image = PICTURE.copy()
    exif = Image.Exif()
    exif[0x010E] = "secret"
    image.info = {"icc_profile": b"secret", "exif": exif.tobytes(), "dpi": (300, 300), "comment": "secret"}
    data = encode_png(image, {"seed": 1})
    assert b"secret" not in data
    assert all(chunk not in data for chunk in (b"iCCP", b"eXIf", b"pHYs"))
    assert image.info["dpi"] == (300, 300)  # the caller's image is left alone


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_of_png_are_kept(mode: str) -> None:
    with Image.open(io.BytesIO(encode_png(PICTURE.convert(mode)))) as image:
        assert image.mode == mode


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_become_rgb(mode: str) -> None:
    with Image.open(io.BytesIO(encode_png(PICTURE.convert(mode)))) as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt"])
def test_other_text_chunks_are_read(chunk: bytes) -> None:
    body = {
        b"zTXt": b"atelier\0\0" + zlib.compress(b'{"seed": 7}'),
        b"iTXt": b"atelier\0\0\0\0\0" + b'{"seed": 7}',
    }[chunk]
    assert read_recipe(png(1, 1, [bytes(3)], before=[(chunk, body)])) == {"seed": 7}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON"),
        ("[7]", "is not a JSON object"),
        ('{"seed": NaN}', "holds NaN, which is not a number"),
        ('{"seed": 1e999}', "holds a number past every bound"),
        ('{"a":' * 10_000, "nested more than 32 levels deep"),
        ('{"a": "' + "x" * 262_144 + '"}', "bytes long where at most 262144 are allowed"),
    ],
)
def test_a_recipe_that_is_refused(text: str, sentence: str) -> None:
    data = png(1, 1, [bytes(3)], before=[text_chunk("atelier", text)])
    with pytest.raises(ImageError, match=rf"^The image holds a recipe that cannot be used: it .*{sentence}"):
        read_recipe(data)


def test_a_compressed_bomb_is_refused() -> None:
    bomb = b"atelier\0\0" + zlib.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}', 9)
    assert len(bomb) < 60_000
    with pytest.raises(ImageError):
        read_recipe(png(1, 1, [bytes(3)], before=[(b"zTXt", bomb)]))


def test_what_is_not_a_png_holds_no_recipe() -> None:
    buffer = io.BytesIO()
    PICTURE.save(buffer, "JPEG")
    with pytest.raises(ImageError, match=r"^The image is not a PNG; only the PNG files that the studio saves hold"):
        read_recipe(buffer.getvalue())
    with pytest.raises(ImageError, match=r"truncated or damaged"):
        read_recipe(encode_png(PICTURE)[:20])


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"seed": float("nan")}, "is not JSON"),
        ({"seed": object()}, "is not JSON"),
        ({"a": "\ud800"}, "not valid Unicode"),
        ({"a": "x" * 270_000}, "at most 262144 are allowed"),
        (nested(33), "more than 32 levels"),
        (nested(100_000), "is not JSON|more than 32 levels"),
    ],
)
def test_a_recipe_that_could_not_be_read_is_not_written(recipe: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=f"^The recipe cannot be saved with the picture: it .*({sentence})"):
        save_png(PICTURE, tmp_path / "out.png", recipe)
    assert list(tmp_path.iterdir()) == []


def test_thirty_two_levels_are_allowed() -> None:
    assert read_recipe(encode_png(PICTURE, nested(32))) == nested(32)


def test_an_interrupted_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_png(PICTURE, tmp_path / "out.png", RECIPE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"^Cannot write out\.png: no space is left on the disk"):
        save_png(PICTURE, tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_device_is_one_sentence() -> None:
    sentence = "^Cannot write the image: no space is left on the disk"
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OutputError, match=sentence):
        save_png(PICTURE, full)


def test_an_open_file_is_written() -> None:
    buffer = io.BytesIO()
    save_png(PICTURE, buffer, RECIPE)
    assert read_recipe(buffer.getvalue()) == RECIPE


def test_the_door_and_the_recipe_share_one_key() -> None:
    assert recipes.KEY == "atelier"
