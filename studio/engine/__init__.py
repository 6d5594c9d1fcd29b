"""The engine: every job that the page and the command line can ask for, as a generator of Progress."""

from studio.engine.engine import Engine
from studio.engine.requests import (
    ClassesRequest,
    Mix,
    Picture,
    SampleRequest,
    Seeded,
    Variation,
    WalkRequest,
)
from studio.engine.results import ClassGrid, ModelInfo, Restored, Sample

__all__ = [
    "ClassGrid",
    "ClassesRequest",
    "Engine",
    "Mix",
    "ModelInfo",
    "Picture",
    "Restored",
    "Sample",
    "SampleRequest",
    "Seeded",
    "Variation",
    "WalkRequest",
]
