"""Engines over small models, and the app as other programs call it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, serving, shelf

from studio.engine import Engine
from studio.settings import Settings


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shelf(tmp_path_factory.mktemp("shelf") / "checkpoints")


@pytest.fixture(scope="session")
def engine(checkpoints: Path) -> Engine:
    return Engine(Settings(home=checkpoints.parent / "home", checkpoints=checkpoints, device="cpu", threads=1))


@pytest.fixture(scope="session")
def served(checkpoints: Path) -> Iterator[Served]:
    with serving(checkpoints.parent) as app:
        yield app
