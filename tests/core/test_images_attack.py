"""Whatever bytes come to the image door, only ImageError escapes."""

import io
from functools import cache
from typing import Any

import pytest
from handmade import cmyk_profile, png, rgb_profile, text_chunk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from sentences import assert_sentence
from strategies import mutated

from studio.core.errors import ImageError
from studio.core.images import open_image, read_recipe

# Pillow warns of damage that it can live with; an error raised for a warning would hide what comes after it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _saved(mode: str, form: str, **options: Any) -> bytes:
    image = Image.linear_gradient("L").resize((12, 9)).convert("RGBA" if "A" in mode else "RGB").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@cache
def samples() -> dict[str, bytes]:
    """Small valid files of every sort."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    second = Image.new("RGB", (12, 9), (0, 255, 0))
    profile = rgb_profile((0.4, 0.2, 0.0), (0.4, 0.7, 0.1), (0.1, 0.1, 0.7))
    return {
        "png": _saved("RGB", "PNG", exif=exif.tobytes(), icc_profile=profile),
        "png-palette": _saved("P", "PNG", transparency=0),
        "png-alpha": _saved("LA", "PNG"),
        "png-16": png(2, 2, [bytes(range(4))] * 2, depth=16, colour=0, before=[(b"tRNS", b"\0\1")]),
        "png-animated": _saved("RGB", "PNG", save_all=True, append_images=[second]),
        "png-recipe": png(1, 1, [bytes(3)], before=[text_chunk("atelier", '{"seed": 7}')]),
        "jpeg": _saved("RGB", "JPEG", exif=exif.tobytes(), icc_profile=profile),
        "jpeg-progressive": _saved("RGB", "JPEG", progressive=True),
        "jpeg-grey": _saved("L", "JPEG"),
        "jpeg-cmyk": _saved("CMYK", "JPEG"),
        "gif": _saved("P", "GIF"),
        "gif-animated": _saved("RGB", "GIF", save_all=True, append_images=[second]),
        "webp": _saved("RGB", "WEBP", exif=exif.tobytes(), icc_profile=profile),
        "webp-lossless": _saved("RGBA", "WEBP", lossless=True),
        "webp-animated": _saved("RGB", "WEBP", save_all=True, append_images=[second]),
    }


def attack(data: bytes) -> None:
    for mode in ("composite", "keep"):
        try:
            image = open_image(data, max_side=400, max_pixels=40_000, alpha=mode)  # type: ignore[arg-type]
        except ImageError as error:
            assert_sentence(error)
        else:
            assert image.mode in ("RGB", "RGBA")
            assert max(image.size) <= 400
            assert image.info == {}
            image.tobytes()
    try:
        recipe = read_recipe(data)
    except ImageError as error:
        assert_sentence(error)
    else:
        assert recipe is None or isinstance(recipe, dict)


@pytest.mark.parametrize("name", samples())
def test_the_samples_are_valid(name: str) -> None:
    assert min(open_image(samples()[name]).size) >= 1


@pytest.mark.parametrize("name", samples())
@given(data=st.data())
def test_damaged_files(name: str, data: st.DataObject) -> None:
    attack(data.draw(mutated(samples()[name])))


STARTS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"GIF87a", b"RIFF\xff\0\0\0WEBP", b"%!PS", b"II*\0"]


@given(st.sampled_from(STARTS), st.binary(max_size=200))
@example(b"RIFF", b"")
@example(b"\x89PNG\r\n\x1a\n", b"\xff\xff\xff\xffIHDR")
@example(b"GIF89a", b"\xff" * 7)
def test_random_bytes(start: bytes, rest: bytes) -> None:
    attack(start + rest)


@given(
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    depth=st.integers(0, 255),
    colour=st.integers(0, 255),
    chunks=st.lists(
        st.tuples(
            st.sampled_from([b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"gAMA", b"zTXt", b"iTXt", b"tEXt"]),
            st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b"atelier\0" + b),
        ),
        max_size=3,
    ),
    rows=st.binary(max_size=60),
    small=st.booleans(),
)
def test_well_formed_png_with_any_content(
    width: int, height: int, depth: int, colour: int, chunks: list[tuple[bytes, bytes]], rows: bytes, small: bool
) -> None:
    if small:
        width, height = width % 9, height % 9
        depth, colour = (1, 2, 4, 8, 16)[depth % 5], (0, 2, 3, 4, 6)[colour % 5]
    attack(png(width, height, [rows], depth=depth, colour=colour, before=chunks))


@given(st.binary(max_size=3000))
def test_any_profile(profile: bytes) -> None:
    attack(_saved("RGB", "PNG", icc_profile=profile))


@given(data=st.data())
def test_damaged_profiles(data: st.DataObject) -> None:
    valid = rgb_profile((0.4, 0.2, 0.0), (0.4, 0.7, 0.1), (0.1, 0.1, 0.7))
    attack(_saved("RGB", "PNG", icc_profile=data.draw(mutated(valid))))


@settings(max_examples=25)
@given(data=st.data())
def test_damaged_printer_profiles(data: st.DataObject) -> None:
    attack(_saved("CMYK", "JPEG", icc_profile=data.draw(mutated(cmyk_profile((100, 0, 0), (50, 0, 0))))))


@given(st.binary(max_size=200))
def test_any_exif(exif: bytes) -> None:
    attack(_saved("RGB", "JPEG", exif=b"Exif\0\0" + exif))
    attack(_saved("RGB", "WEBP", exif=b"Exif\0\0MM\0*" + exif))
