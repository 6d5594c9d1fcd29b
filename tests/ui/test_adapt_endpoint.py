"""The endpoint /adapt, called as other programs call it."""

from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hands import write_works
from PIL import Image
from served import Served

from studio.core import checkpoint


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(served.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("works")
    broken = folder / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return [handle_file(file) for file in (*write_works(folder), broken)]


def test_pictures_become_a_sheet_an_adapter_and_a_summary(client: Client, works: list[Any]) -> None:
    sheet, file, summary = client.predict(
        pictures=works, base="meta", name="mine", method="meta", steps=1, seed=3, crop="whole", api_name="/adapt"
    )
    with Image.open(sheet) as image:
        assert image.height == 2 * 32 + 2
    adapter = checkpoint.load(Path(file))
    assert (adapter.kind, adapter.classes, adapter.provenance["seed"]) == ("adapter", ("mine",), 3)
    assert (summary["steps"], summary["pictures"], summary["offered"]) == (1, 5, 6)
    assert list(summary["skipped"]) == ["broken.png"]
    assert "mine" not in {model["name"] for model in client.predict(api_name="/models")}


@pytest.mark.parametrize(
    ("count", "values", "sentence"),
    [
        (5, {"base": "nobody"}, "Unknown model"),
        (5, {"base": "plain"}, "cannot be adapted"),
        (5, {"method": "magic"}, "known: meta"),
        (5, {"name": "portrait", "base": "meta"}, "has a class called"),
        (5, {"budget": 10**9}, "budget must be a number from 1"),
        (5, {"budget": "long"}, "budget must be a number"),
        (5, {"steps": 0.5}, "steps must be a whole number"),
        (5, {"crop": "oval"}, "crop must be one of"),
        (2, {}, "at least 3 different pictures; got 2"),
    ],
)
def test_a_bad_value_is_answered_with_one_sentence(
    client: Client, works: list[Any], count: int, values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(pictures=works[:count], **values, api_name="/adapt")


def test_broken_files_alone_are_answered_with_one_sentence(client: Client, works: list[Any]) -> None:
    with pytest.raises(AppError, match="None of the 1 pictures could be read"):
        client.predict(pictures=works[-1:], api_name="/adapt")
