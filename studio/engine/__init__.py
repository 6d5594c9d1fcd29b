"""The engine: every job that the page and the command line can ask for, as a generator of Progress."""

from studio.engine.adapt_requests import AdaptRequest
from studio.engine.adapted import Adaptation
from studio.engine.engine import Engine
from studio.engine.inverter import Inverted, InvertRequest
from studio.engine.pictures import Pictures
from studio.engine.requests import (
    Along,
    ClassesRequest,
    Mix,
    Moved,
    Own,
    Picture,
    SampleRequest,
    Seeded,
    Variation,
    WalkRequest,
)
from studio.engine.results import ClassGrid, ModelInfo, Restored, Sample
from studio.engine.style_requests import Style, StylizeRequest
from studio.engine.styled import RestoredStyle, Styled, Variants

__all__ = [
    "AdaptRequest",
    "Adaptation",
    "Along",
    "ClassGrid",
    "ClassesRequest",
    "Engine",
    "InvertRequest",
    "Inverted",
    "Mix",
    "ModelInfo",
    "Moved",
    "Own",
    "Picture",
    "Pictures",
    "Restored",
    "RestoredStyle",
    "Sample",
    "SampleRequest",
    "Seeded",
    "Style",
    "Styled",
    "StylizeRequest",
    "Variants",
    "Variation",
    "WalkRequest",
]
