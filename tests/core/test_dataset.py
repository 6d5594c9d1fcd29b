"""Reading folders and zips, broken pictures among good ones."""

import io
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.core.dataset import read_dataset
from studio.core.errors import DataError, StudioError


def png(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = png((255, 0, 0)), png((0, 0, 255))


def zipped(path: Path, members: dict[str, bytes], index: str | None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if index is not None:
            archive.writestr("index.csv", index)
    return path


def test_folder_gives_a_class_for_each_subfolder(tmp_path: Path) -> None:
    for folder, content in (("sea", BLUE), ("fire", RED)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.png").write_bytes(content)
    data = read_dataset([tmp_path], 4)
    assert data.classes == ("fire", "sea")
    assert data.files == ("fire/one.png", "sea/one.png")
    assert data.labels.tolist() == [0, 1]
    assert data.images.shape == (2, 3, 4, 4)
    assert data.images[0, :, 0, 0].tolist() == [255, 0, 0]


def test_zip_follows_its_index_and_keeps_the_classes_asked_for(tmp_path: Path) -> None:
    index = "file,class,artist\na.png,fire,x\nb.png,sea,y\nc.png,sky,z\n"
    path = zipped(tmp_path / "d.zip", {"a.png": RED, "b.png": BLUE, "c.png": BLUE}, index)
    data = read_dataset([path], 4, classes=("sea", "fire"))
    assert data.classes == ("sea", "fire")
    assert data.files == ("a.png", "b.png")
    assert data.labels.tolist() == [1, 0]


def test_broken_pictures_are_skipped_counted_and_named(tmp_path: Path) -> None:
    members = {"good.png": RED, "cut.png": RED[:40], "text.png": b"hello"}
    index = "file,class\ngood.png,a\ncut.png,a\ntext.png,a\ngone.png,a\n../up.png,a\n"
    data = read_dataset([zipped(tmp_path / "d.zip", members, index)], 4)
    assert data.files == ("good.png",)
    assert [name for name, _ in data.skipped] == ["cut.png", "text.png", "gone.png", "../up.png"]
    assert "not in the archive" in dict(data.skipped)["gone.png"]
    assert "leads out" in dict(data.skipped)["../up.png"]


def test_pictures_without_a_class_have_label_minus_one(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(RED)
    data = read_dataset([tmp_path], 4)
    assert data.labels.tolist() == [-1]
    assert data.classes == ()


def test_wide_picture_is_cropped_to_its_centre_square(tmp_path: Path) -> None:
    wide = Image.new("RGB", (30, 10), (255, 0, 0))
    wide.paste((0, 0, 255), (10, 0, 20, 10))
    wide.save(tmp_path / "wide.png")
    assert read_dataset([tmp_path], 10).images[0, :, 5, 5].tolist() == [0, 0, 255]
    assert (read_dataset([tmp_path], 10).images[0, 0] == 0).all()


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("name\nx\n", "needs a column `file`"),
        ("", "needs a column `file`"),
        ("file,class\nx.png,a\n", "Only 0 pictures could be read \\(1 were skipped\\); at least 1"),
    ],
)
def test_zip_without_a_usable_index_is_a_sentence(index: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        read_dataset([zipped(tmp_path / "d.zip", {"a.png": RED}, index)], 4)


def test_a_zip_without_an_index_is_read_as_the_folder_in_it(tmp_path: Path) -> None:
    members = {"mine/sea/b.png": BLUE, "mine/fire/a.png": RED, "__MACOSX/mine/a.png": b"x", "mine/read.txt": b"x"}
    data = read_dataset([zipped(tmp_path / "d.zip", members, None)], 4)
    assert data.files == ("mine/fire/a.png", "mine/sea/b.png")
    assert (data.classes, data.labels.tolist()) == (("fire", "sea"), [0, 1])
    assert read_dataset([zipped(tmp_path / "flat.zip", {"a.png": RED}, None)], 4).labels.tolist() == [-1]
    alone = zipped(tmp_path / "one.zip", {"mine/a.png": RED, "mine/b.png": BLUE}, None)
    assert read_dataset([alone], 4).classes == ()


def test_a_zip_without_pictures_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no index\.csv and no pictures"):
        read_dataset([zipped(tmp_path / "d.zip", {"read.txt": b"x"}, None)], 4)


def test_paths_that_climb_out_of_a_zip_without_an_index_are_skipped(tmp_path: Path) -> None:
    members = {"sea/a.png": BLUE, "fire/b.png": RED, "../up.png": RED, "/root.png": RED}
    data = read_dataset([zipped(tmp_path / "d.zip", members, None)], 4)
    assert data.files == ("fire/b.png", "sea/a.png")
    assert {name: "leads out" in reason for name, reason in data.skipped} == {"../up.png": True, "/root.png": True}


def test_a_zip_bomb_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(tmp_path / "d.zip", {"a.png": RED, "b.png": bytes(200_000)}, None)
    monkeypatch.setattr("studio.core.dataset.MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(DataError, match=r"d\.zip would unpack to 0 GB; at most 0 are read"):
        read_dataset([bomb], 4)
    monkeypatch.setattr("studio.core.dataset.MAX_MEMBERS", 1)
    with pytest.raises(DataError, match=r"d\.zip has 2 files; at most 1 are read"):
        read_dataset([bomb], 4)


def test_missing_path_and_unknown_class_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data at"):
        read_dataset([tmp_path / "nowhere"], 4)
    (tmp_path / "sea").mkdir()
    (tmp_path / "sea" / "one.png").write_bytes(BLUE)
    with pytest.raises(DataError, match="No picture has the class 'lava'; the data has: sea"):
        read_dataset([tmp_path], 4, classes=("lava",))


def test_another_column_of_the_index_is_the_label(tmp_path: Path) -> None:
    index = "file,class,artist\na.png,fire,turner\nb.png,sea,hokusai\nc.png,sea,\nd.png,sea,turner\n"
    path = zipped(tmp_path / "d.zip", {"a.png": RED, "b.png": BLUE, "c.png": BLUE, "d.png": RED}, index)
    data = read_dataset([path], 4, column="artist")
    assert data.classes == ("hokusai", "turner")
    assert data.labels.tolist() == [1, 0, -1, 1]
    chosen = read_dataset([path], 4, classes=("turner",), column="artist")
    assert chosen.files == ("a.png", "d.png")
    with pytest.raises(DataError, match="No picture has the artist 'monet'; the data has: hokusai, turner"):
        read_dataset([path], 4, classes=("monet",), column="artist")


def test_a_subfolder_is_the_label_whatever_the_column(tmp_path: Path) -> None:
    (tmp_path / "fruit").mkdir()
    (tmp_path / "fruit" / "apple.png").write_bytes(RED)
    assert read_dataset([tmp_path], 4, column="artist").classes == ("fruit",)


@pytest.mark.parametrize(
    ("head", "known"), [("file,class,artist", "class, artist"), ("file,style", "style"), ("file", "none")]
)
@pytest.mark.parametrize("column", ["painter", "file", ""])
def test_an_unknown_column_is_a_sentence_that_lists_the_known_ones(
    column: str, head: str, known: str, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "d.zip", {"a.png": RED}, f"{head}\na.png,x,y\n")
    with pytest.raises(DataError, match=f"d.zip has no column '{column}'; known: {known}\\."):
        read_dataset([path], 4, column=column)


def test_a_zip_may_do_without_classes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", {"a.png": RED}, "file,style\na.png,Fauvism\n")
    assert read_dataset([path], 4).labels.tolist() == [-1]


@given(content=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_bytes_as_a_zip_raise_nothing_but_a_studio_error(
    content: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    sound = zipped(folder / "sound.zip", {"a.png": RED}, "file,class\na.png,x\n").read_bytes()
    for blob in (content, sound[:cut], sound[:cut] + content + sound[cut:]):
        path = folder / "any.zip"
        path.write_bytes(blob)
        try:
            data = read_dataset([path], 4)
        except StudioError:
            continue
        assert data.images.dtype == torch.uint8
