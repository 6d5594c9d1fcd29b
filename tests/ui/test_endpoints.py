"""The public endpoints, called as other programs call them."""

from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from served import CLASSES, LONG_WALK, Served

from studio.core.images import read_recipe
from studio.engine import Engine


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(served.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_only_the_endpoints_are_public(client: Client) -> None:
    described: dict[str, Any] = client.view_api(return_format="dict")  # type: ignore[assignment]
    assert set(described["named_endpoints"]) == {"/models", "/sample", "/walk", "/classes", "/stylize", "/adapt"}
    assert described["unnamed_endpoints"] == {}


def test_parameters_are_named_as_on_the_command_line(client: Client) -> None:
    described: dict[str, Any] = client.view_api(return_format="dict")  # type: ignore[assignment]
    names = {
        endpoint: [parameter["parameter_name"] for parameter in facts["parameters"]]
        for endpoint, facts in described["named_endpoints"].items()
    }
    assert names["/sample"] == ["model", "seed", "count", "truncation", "classes", "adaptation", "size"]
    assert names["/walk"] == [
        "model",
        "seeds",
        "frames",
        "fps",
        "truncation",
        "classes",
        "space",
        "format",
        "loop",
        "adaptation",
        "size",
    ]
    assert names["/adapt"] == ["pictures", "base", "name", "method", "budget", "steps", "seed", "crop"]


def test_models_lists_those_that_work_and_says_why_another_does_not(client: Client) -> None:
    models = {model["name"]: model for model in client.predict(api_name="/models")}
    assert models["small"]["classes"] == list(CLASSES)
    assert models["small"]["resolution"] == 32
    assert models["small"]["error"] is None
    assert "pickle" in models["broken"]["error"]
    assert "path" not in models["small"]


def test_sample_gives_png_files_with_recipes_of_the_very_pictures_of_the_engine(client: Client, engine: Engine) -> None:
    files = client.predict(model="small", seed=7, count=3, truncation=0.5, api_name="/sample")
    assert [Path(file).name for file in files] == ["7.png", "8.png", "9.png"]
    recipe = read_recipe(Path(files[1]))
    assert recipe is not None
    assert recipe["picture"]["seed"] == 8
    with Image.open(files[1]) as image:
        assert image.tobytes() == engine.render("small", 8, truncation=0.5).image.tobytes()


@pytest.mark.parametrize("classes", ["landscape=1,seascape=3", {"landscape": 1, "seascape": 3}])
def test_classes_come_as_text_or_as_numbers_by_name(client: Client, classes: object) -> None:
    (file,) = client.predict(model="small", seed=1, count=1, classes=classes, api_name="/sample")
    recipe = read_recipe(Path(file))
    assert recipe is not None
    assert recipe["picture"]["classes"] == {"landscape": 1.0, "seascape": 3.0}


def test_sample_streams_its_pictures(client: Client) -> None:
    job = client.submit(model="plain", seed=0, count=12, api_name="/sample")
    assert len(job.result()) == 12
    assert sorted(len(files) for files in job.outputs())[0] < 12


def test_walk_gives_a_film(client: Client) -> None:
    file = client.predict(model="small", seeds="1,2,3", frames=9, fps=10, api_name="/walk")
    assert Path(file).read_bytes()[4:8] == b"ftyp"
    file = client.predict(model="small", seeds=[1, 2], frames=6, fps=10, format="gif", api_name="/walk")
    with Image.open(file) as film:
        assert film.format == "GIF"


def test_classes_gives_a_labelled_sheet(client: Client) -> None:
    file = client.predict(model="small", seed=3, count=2, classes="portrait,seascape", api_name="/classes")
    recipe = read_recipe(Path(file))
    assert recipe is not None
    assert recipe["request"]["classes"] == ["portrait", "seascape"]
    with Image.open(file) as sheet:
        assert sheet.width > 2 * 32
        assert sheet.height > 2 * 32


@pytest.mark.parametrize(
    ("endpoint", "values", "sentence"),
    [
        ("/sample", {"model": "nobody"}, "Unknown model"),
        ("/sample", {"model": "broken"}, "pickle"),
        ("/sample", {"model": "../../etc/passwd"}, "passwd"),
        ("/sample", {"model": "small", "seed": -1}, "seed must be a whole number"),
        ("/sample", {"model": "small", "seed": "seven"}, "seed must be a whole number"),
        ("/sample", {"model": "small", "count": 10**9}, "count must be a whole number"),
        ("/sample", {"model": "small", "count": 65}, "At most 64 pictures"),
        ("/sample", {"model": "small", "truncation": 9}, "truncation must be a number"),
        ("/sample", {"model": "small", "adaptation": 1.5}, "is no adapter, so adaptation must be 1; got 1.5"),
        ("/walk", {"model": "small", "seeds": [1, 2], "adaptation": 3}, "adaptation must be a number from 0 to 2"),
        ("/sample", {"model": "small", "classes": "castle=1"}, "Unknown class"),
        ("/sample", {"model": "small", "classes": "landscape=many"}, "must be a number"),
        ("/sample", {"model": "small", "classes": 7}, "classes"),
        ("/walk", {"model": "small", "seeds": "1"}, "at least 2 key pictures"),
        ("/walk", {"model": "small", "seeds": "1,two"}, "not a list of seeds"),
        ("/walk", {"model": "small", "seeds": [1, 2], "frames": LONG_WALK + 1}, f"at most {LONG_WALK} frames"),
        ("/walk", {"model": "small", "seeds": [1, 2], "format": "avi"}, "format"),
        ("/classes", {"model": "plain"}, "has no classes"),
    ],
)
def test_a_bad_value_is_answered_with_one_sentence(
    client: Client, endpoint: str, values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(**values, api_name=endpoint)


def test_the_app_tried_to_reach_no_other_machine(client: Client, served: Served) -> None:
    client.predict(api_name="/models")
    assert not served.attempts.exists(), served.attempts.read_text()
