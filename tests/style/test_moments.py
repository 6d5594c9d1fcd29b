"""Moments stand for the picture they were taken from."""

from pathlib import Path

import pytest
import torch
from studio_styles import WIDTHS, painting, photo

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.images import to_tensor
from studio.core.progress import result_of
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.moments import KIND, MomentsConfig, moments_of, read_moments, table
from studio.style.refine import refine
from studio.style.refine_config import RefineConfig
from studio.style.similarity import SIMILARITIES


@pytest.fixture(scope="module")
def encoder() -> StyleEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StyleEncoder(EncoderConfig(widths=WIDTHS, depths=(1, 1, 1, 1, 1))).eval().requires_grad_(False)


def test_the_first_row_is_one_and_the_means(encoder: StyleEncoder) -> None:
    picture = to_tensor(painting(64))
    for matrix, features in zip(moments_of(encoder, picture).layers, encoder(picture[None]), strict=True):
        assert float(matrix[0, 0]) == 1
        assert torch.allclose(matrix[0, 1:], features[0].mean(dim=(1, 2)), atol=1e-5)


def test_a_saved_table_gives_them_back(encoder: StyleEncoder, tmp_path: Path) -> None:
    pictures = [to_tensor(painting(64, seed)) for seed in range(3)]
    config = MomentsConfig(WIDTHS)
    path = tmp_path / "moments.safetensors"
    checkpoint.save(
        path,
        table(encoder, pictures, config),
        kind=KIND,
        config=config,
        classes=("a", "b", "c"),
        provenance={},
        metrics={},
    )
    read = read_moments(checkpoint.load(path))
    assert list(read) == ["a", "b", "c"]
    for found, wanted in zip(read["b"].layers, moments_of(encoder, pictures[1]).layers, strict=True):
        assert torch.allclose(found, wanted, rtol=2e-3, atol=1e-3 * float(wanted.abs().max()))
        assert torch.equal(found, found.T)


@pytest.mark.parametrize("name", SIMILARITIES.names())
def test_refining_towards_moments_is_refining_towards_the_picture(encoder: StyleEncoder, name: str) -> None:
    content, style = to_tensor(photo(64, 48)), to_tensor(painting(64))
    config = RefineConfig(steps=3, similarities=(name,), start="content")
    kept = refine(encoder, content, [moments_of(encoder, style)], config)
    if SIMILARITIES[name].evidence == "sample":
        with pytest.raises(InvalidRequest, match="needs the style's picture"):
            result_of(kept)
        return
    seen = result_of(refine(encoder, content, [style], config))
    assert torch.allclose(result_of(kept).picture, seen.picture, atol=1e-3)


def test_another_kind_holds_no_moments(encoder: StyleEncoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    checkpoint.save(path, encoder, kind="encoder", config=encoder.config, classes=(), provenance={}, metrics={})
    with pytest.raises(CheckpointError, match="holds no moments"):
        read_moments(checkpoint.load(path))
