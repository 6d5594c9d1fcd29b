"""The endpoint /stylize, called as other programs call it."""

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from served import Served
from studio_styles import painting, photo

from studio.core.images import read_recipe


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(served.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    photo().save(folder / "photo.jpg")
    painting().save(folder / "stripes.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


def test_a_photo_is_stylized_with_pictures_and_masterworks(client: Client, pictures: Path) -> None:
    file = client.predict(
        content=handle_file(pictures / "photo.jpg"),
        styles=[handle_file(pictures / "stripes.png")],
        masterworks="monet-sunrise",
        weights=[0.7, 0.3],
        size=64,
        steps=2,
        similarity="gram,mean_std",
        practice=2,
        api_name="/stylize",
    )
    with Image.open(file) as image:
        assert image.size == (64, 43)
    recipe = read_recipe(Path(file))
    assert recipe is not None
    assert [style["weight"] for style in recipe["request"]["styles"]] == [0.7, 0.3]
    assert [style.get("practice") for style in recipe["request"]["styles"]] == [2, None]
    assert recipe["request"]["similarity"] == {"gram": 1.0, "mean_std": 1.0}


def test_a_masterwork_alone_is_enough(client: Client, pictures: Path) -> None:
    file = client.predict(
        content=handle_file(pictures / "photo.jpg"),
        masterworks=["monet-sunrise"],
        fast=True,
        size=64,
        api_name="/stylize",
    )
    assert Path(file).is_file()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "styles"),
        ({"masterworks": "mona"}, "known: hokusai-great-wave"),
        ({"masterworks": "monet-sunrise", "weights": [0]}, "all 0"),
        ({"masterworks": "monet-sunrise", "weights": [-1]}, "got -1"),
        ({"masterworks": "monet-sunrise", "weights": 7}, "weights must be a list"),
        ({"masterworks": "monet-sunrise", "similarity": "likeness"}, "Unknown similarity"),
        ({"masterworks": "monet-sunrise", "size": 10**6}, "size must be a whole number"),
        ({"masterworks": "monet-sunrise", "start": "/etc/passwd"}, "start must be one of"),
    ],
)
def test_a_bad_value_is_answered_with_one_sentence(
    client: Client, pictures: Path, values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(content=handle_file(pictures / "photo.jpg"), **values, api_name="/stylize")


def test_a_broken_picture_is_answered_with_one_sentence(client: Client, pictures: Path) -> None:
    with pytest.raises(AppError, match="truncated or damaged"):
        client.predict(content=handle_file(pictures / "broken.png"), masterworks="monet-sunrise", api_name="/stylize")


def test_a_path_of_the_server_is_not_read(client: Client) -> None:
    with pytest.raises(AppError, match="upstream Gradio app"):
        client.predict(content={"path": "/etc/hostname"}, masterworks="monet-sunrise", api_name="/stylize")
