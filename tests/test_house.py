"""The house is in order: metadata in step, documents that name what exists, imports that do nothing."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SPACE_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "BENCHMARKS.md")


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def front_matter() -> dict[str, Any]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match, "README.md must begin with front matter"
    return dict(yaml.safe_load(match[1]))


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement, run with sockets and threads forbidden."""
    program = (
        "import json, socket, sys, threading\n"
        "def forbidden(*args, **kwargs): raise AssertionError('an import opened a socket or started a thread')\n"
        "socket.socket.connect = threading.Thread.start = forbidden\n"
        f"{statement}\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "torch = sys.modules.get('torch')\n"
        "assert torch is None or not torch.cuda.is_initialized(), 'an import woke the GPU'\n"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_requirements_are_the_dependencies_of_pyproject() -> None:
    assert requirements() == PROJECT["dependencies"]


def test_front_matter_is_that_of_a_gradio_space() -> None:
    head = front_matter()
    assert head["sdk"] == "gradio"
    assert head["title"]
    assert head["emoji"]
    assert {head["colorFrom"], head["colorTo"]} <= SPACE_COLOURS
    assert len(head["short_description"]) <= 60
    assert head["license"] == PROJECT["license"].lower() == "apache-2.0"
    assert (ROOT / head["app_file"]).is_file()


def test_space_versions_satisfy_the_package() -> None:
    head = front_matter()
    gradio = next(r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "gradio")
    assert gradio.specifier.contains(Version(str(head["sdk_version"])))
    minimum = Version(PROJECT["requires-python"].removeprefix(">="))
    assert isinstance(head["python_version"], str), "quoted, or YAML reads 3.10 as 3.1"
    assert Version(head["python_version"]) >= minimum


def test_readme_has_the_two_commands_word_for_word() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\npython -m pip install -e . && python app.py\n" in readme
    assert '\npython -m pip install -e ".[test]" && python -m pytest\n' in readme


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_into_the_repository_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_verb_of_the_readme_exists() -> None:
    from typer.main import get_command

    from studio.cli import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = get_command(app).commands  # type: ignore[attr-defined]
    written = re.findall(r"^studio (\w+)(.*)$", readme, re.MULTILINE)
    assert written
    for verb, rest in written:
        options = {name for param in known[verb].params for name in param.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, verb


def test_every_setting_of_the_readme_exists() -> None:
    from dataclasses import fields

    from studio.settings import Settings

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paragraph = re.search(r"`STUDIO_\*`: (.*?)\.\n", readme, re.DOTALL)
    assert paragraph
    assert set(re.findall(r"`([A-Z_]+)`", paragraph[1])) == {field.name.upper() for field in fields(Settings)}


def test_every_page_of_python_in_the_readme_compiles() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_importing_the_package_loads_no_framework_and_touches_no_device_network_or_thread() -> None:
    assert modules_after("import studio") & {"torch", "gradio", "typer", "rich"} == set()


def test_help_of_the_command_line_loads_neither_torch_nor_gradio() -> None:
    assert modules_after("import studio.cli") & {"torch", "torchvision", "gradio", "numpy", "PIL", "pydantic"} <= {
        "pydantic"  # typer's own
    }


@pytest.mark.parametrize("room", ["engine", "evaluation", "models", "latent", "meta", "settings"])
def test_importing_a_room_touches_no_device_network_or_thread(room: str) -> None:
    assert "gradio" not in modules_after(f"import studio.{room}")


def test_training_imports_with_its_own_packages_alone() -> None:
    loaded = modules_after("import studio.training")
    assert loaded & {"gradio", "pydantic", "typer", "fastapi", "torchmetrics"} == set()


def test_imports_flow_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_no_source_file_outgrows_a_screenful_of_screens() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "studio").rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 330
    }
    assert long == {}
