"""Pictures by reference: the same content has the same name, and the library gives back what it was given."""

import copy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_styles import photo

from studio.core.errors import ImageError, InvalidRequest
from studio.engine import pictures as module
from studio.engine.pictures import Pictures, reference, wanted


def test_a_reference_names_the_pixels_and_not_the_file(tmp_path: Path) -> None:
    photo().save(tmp_path / "one.png")
    photo().save(tmp_path / "two.webp", lossless=True)
    store = Pictures()
    assert store.add(tmp_path / "one.png") == store.add(tmp_path / "two.webp") == reference(photo())
    assert store.add(photo(seed=3)) != reference(photo())
    assert len(store) == 2
    assert store.title(reference(photo())) == "two"


def test_the_shape_is_part_of_the_content() -> None:
    grey = np.full((4, 8, 3), 7, np.uint8)
    assert reference(Image.fromarray(grey)) != reference(Image.fromarray(grey.reshape(8, 4, 3)))


def test_a_turned_photo_is_taken_upright(tmp_path: Path) -> None:
    turned = photo(40, 30).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    store = Pictures()
    assert store.add(tmp_path / "turned.png") == reference(photo(40, 30))


def test_what_is_too_large_to_work_on_is_scaled_down() -> None:
    store = Pictures()
    name = store.add(Image.new("RGB", (8192, 16)))
    assert store[name].size == (4096, 8)


def test_a_camera_s_photo_enters_where_the_limit_allows_it(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 4000), "teal").save(tmp_path / "camera.jpg")
    with pytest.raises(ImageError, match=r"24\.0 million; at most 16\.0 million"):
        Pictures().add(tmp_path / "camera.jpg")
    store = Pictures(max_pixels=64_000_000)
    assert store[store.add(tmp_path / "camera.jpg")].size == (4096, 2731)


def test_memory_is_bounded_and_the_oldest_leaves_first() -> None:
    one, two, three = (photo(10, 10, seed) for seed in range(3))
    store = Pictures(max_bytes=600)
    first, second = store.add(one), store.add(two)
    assert store[first] is one
    store.add(three)
    assert first in store
    assert second not in store


def test_the_library_keeps_a_picture_beyond_the_session(tmp_path: Path) -> None:
    store = Pictures(folder=tmp_path / "pictures")
    clear = photo(20, 10)
    clear.putalpha(Image.new("L", (20, 10), 77))
    name = store.add(clear)
    store.keep(name)
    again = Pictures(folder=tmp_path / "pictures")
    assert np.array_equal(np.array(again[name]), np.array(clear))
    assert name in again
    assert name not in Pictures()


def test_a_file_that_is_not_what_its_name_says_is_not_taken(tmp_path: Path) -> None:
    store = Pictures(folder=tmp_path)
    name = reference(photo())
    photo(seed=9).save(tmp_path / f"{name}.png")
    assert name not in store
    (tmp_path / f"{name}.png").write_bytes(b"broken")
    assert name not in store
    assert "../secret" not in store


def test_the_library_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARY_BYTES", 1)
    store = Pictures(folder=tmp_path)
    names = [store.add(photo(seed=seed)) for seed in range(2)]
    for name in names:
        store.keep(name)
    assert [file.stem for file in tmp_path.glob("*.png")] == [names[1]]


def test_a_copy_is_a_session_of_its_own() -> None:
    store = Pictures(max_bytes=5)
    store.add(photo())
    other = copy.deepcopy(store)
    assert len(other) == 0
    assert other.max_bytes == 5


def test_a_picture_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(InvalidRequest, match=r"^The style picture ffffffff… is not at hand any more; add it again\.$"):
        wanted(Pictures(), "f" * 64, "style")
