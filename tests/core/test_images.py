"""The image door: every format that it promises, and what it refuses."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import BLUE_XYZ, GREEN_XYZ, RED_XYZ, cmyk_profile, grey_profile, png, rgb_profile
from PIL import Image, ImageDraw

from studio.core import decode
from studio.core.errors import ImageError
from studio.core.images import encode_png, open_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
NAMES = {RED: "R", GREEN: "G", BLUE: "B", WHITE: "W"}


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> list[Any]:
    return np.asarray(image).reshape(-1, len(image.getbands())).tolist()


def corners() -> Image.Image:
    """32 × 16: red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (32, 16), RED)
    draw = ImageDraw.Draw(image)
    draw.rectangle((16, 0, 31, 7), GREEN)
    draw.rectangle((0, 8, 15, 15), BLUE)
    draw.rectangle((16, 8, 31, 15), WHITE)
    return image


def read_corners(image: Image.Image) -> str:
    """Names of the nearest colours: top left, top right, bottom left, bottom right."""
    width, height = image.size
    found = [image.getpixel((x, y)) for y in (2, height - 3) for x in (2, width - 3)]
    return "".join(NAMES[min(NAMES, key=lambda c: sum(abs(a - b) for a, b in zip(c, f, strict=True)))] for f in found)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
        ("GIF", {}),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "path", "text", "file"])
def test_four_formats_from_four_kinds_of_source(form: str, options: Any, kind: str, tmp_path: Path) -> None:
    data = encoded(corners(), form, **options)
    path = tmp_path / "no-suffix-needed"
    path.write_bytes(data)
    sources = {"bytes": data, "path": path, "text": str(path), "file": io.BytesIO(data)}
    image = open_image(sources[kind])
    assert (image.mode, image.size, read_corners(image)) == ("RGB", (32, 16), "RGBW")


# What the corners show after the turn, from the definition of tag 0x0112: the stored row 0 and column 0 are …
ORIENTATIONS = {
    1: "RGBW",  # top and left
    2: "GRWB",  # top and right
    3: "WBGR",  # bottom and right
    4: "BWRG",  # bottom and left
    5: "RBGW",  # left and top
    6: "BRWG",  # right and top
    7: "WGBR",  # right and bottom
    8: "GWRB",  # left and bottom
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "expected"), ORIENTATIONS.items())
def test_the_exif_turn_is_applied(form: str, orientation: int, expected: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = open_image(encoded(corners(), form, exif=exif.tobytes(), quality=95))
    assert image.size == ((16, 32) if orientation >= 5 else (32, 16))
    assert read_corners(image) == expected


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_a_turn_that_does_not_exist_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_corners(open_image(encoded(corners(), "JPEG", exif=exif.tobytes()))) == "RGBW"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_image() -> None:
    data = encoded(corners(), "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xee" * 40)
    assert read_corners(open_image(data)) == "RGBW"


def test_no_metadata_stay(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret description"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # GPS latitude
    exif.get_ifd(0x8825)[1] = "N"
    data = encoded(corners(), "JPEG", exif=exif.tobytes(), comment=b"a secret comment", dpi=(300, 300))
    with Image.open(io.BytesIO(data)) as before:
        assert before.getexif().get_ifd(0x8825)[1] == "N"
    image = open_image(data)
    assert type(image) is Image.Image
    assert image.info == {}
    assert dict(image.getexif()) == {}
    for form in ("PNG", "JPEG", "WEBP"):
        again = encoded(image, form)
        assert b"secret" not in again
        assert b"Exif" not in again


def test_sixteen_bit_grey_is_rescaled() -> None:
    levels = [0, 128, 129, 257, 32768, 65406, 65407, 65535]  # 128/257 rounds to 0, 129/257 to 1; 65407/257 to 255
    row = b"".join(level.to_bytes(2, "big") for level in levels)
    image = open_image(png(8, 1, [row], depth=16, colour=0))
    assert [pixel[0] for pixel in pixels(image)] == [0, 0, 1, 1, 128, 254, 255, 255]


def test_sixteen_bit_colour_is_rescaled() -> None:
    row = bytes.fromhex("ffff 0000 8080  0000 ffff 0101")
    assert pixels(open_image(png(2, 1, [row], depth=16, colour=2))) == [[255, 0, 128], [0, 255, 1]]


def test_sixteen_bit_grey_and_colour_with_alpha() -> None:
    grey = png(2, 1, [bytes.fromhex("8080 ffff  ffff 0000")], depth=16, colour=4)
    assert pixels(open_image(grey, alpha="keep")) == [[128, 128, 128, 255], [255, 255, 255, 0]]
    colour = png(1, 1, [bytes.fromhex("ffff 0000 8080 4040")], depth=16, colour=6)
    assert pixels(open_image(colour, alpha="keep")) == [[255, 0, 128, 64]]


@pytest.mark.parametrize(("depth", "byte", "expected"), [(1, 0b10000000, [255, 0]), (2, 0b11010000, [255, 85])])
def test_shallow_grey(depth: int, byte: int, expected: list[int]) -> None:
    image = open_image(png(2, 1, [bytes([byte])], depth=depth, colour=0))
    assert [pixel[0] for pixel in pixels(image)] == expected


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "expected"),
    [
        (1, 0, bytes([0b10000000]), b"\0\1", [0, 255]),
        (2, 0, bytes([0b11010000]), b"\0\1", [255, 0]),
        (8, 0, bytes([7, 9]), b"\0\x09", [255, 0]),
        (16, 0, bytes.fromhex("0102 0103"), b"\1\3", [255, 0]),
        (8, 2, bytes([1, 2, 3, 1, 2, 4]), b"\0\1\0\2\0\3", [0, 255]),
        (16, 2, bytes.fromhex("0101 0202 0303  0404 0505 0606"), bytes.fromhex("0101 0202 0303"), [0, 255]),
    ],
)
def test_a_colour_declared_transparent(depth: int, colour: int, row: bytes, key: bytes, expected: list[int]) -> None:
    data = png(2, 1, [row], depth=depth, colour=colour, before=[(b"tRNS", key)])
    assert [pixel[3] for pixel in pixels(open_image(data, alpha="keep"))] == expected


def test_a_palette_with_transparency() -> None:
    chunks = [(b"PLTE", bytes([10, 20, 30, 200, 100, 50])), (b"tRNS", bytes([255, 51]))]
    data = png(2, 1, [bytes([0, 1])], colour=3, before=chunks)
    assert pixels(open_image(data, alpha="keep")) == [[10, 20, 30, 255], [200, 100, 50, 51]]
    # 51/255 is a fifth: 200/5 + 255·4/5 = 244, 100/5 + 204 = 224, 50/5 + 204 = 214
    assert pixels(open_image(data)) == [[10, 20, 30], [244, 224, 214]]
    assert pixels(open_image(data, background=(0, 0, 0))) == [[10, 20, 30], [40, 20, 10]]


def test_an_opaque_palette_stays_rgb() -> None:
    data = png(2, 1, [bytes([0, 1])], colour=3, before=[(b"PLTE", bytes([10, 20, 30, 200, 100, 50]))])
    image = open_image(data, alpha="keep")
    assert (image.mode, pixels(image)) == ("RGB", [[10, 20, 30], [200, 100, 50]])


def test_grey_with_alpha() -> None:
    data = png(2, 1, [bytes([0, 0, 100, 255])], colour=4)
    assert pixels(open_image(data)) == [[255, 255, 255], [100, 100, 100]]
    assert pixels(open_image(data, alpha="keep")) == [[0, 0, 0, 0], [100, 100, 100, 255]]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_alpha_is_composited_or_kept(form: str) -> None:
    data = encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), form, lossless=True, exact=True)
    assert open_image(data).getpixel((0, 0)) == WHITE
    assert open_image(data, background=BLUE).getpixel((0, 0)) == BLUE
    assert open_image(data, alpha="keep").getpixel((0, 0)) == (*RED, 0)


def test_keeping_alpha_turns_it_too() -> None:
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((0, 0), (*BLUE, 7))
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored left is shown at the top
    upright = open_image(encoded(image, "PNG", exif=exif.tobytes()), alpha="keep")
    assert upright.size == (1, 2)
    assert pixels(upright) == [[0, 0, 255, 7], [255, 0, 0, 255]]


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), WHITE), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_cmyk_jpeg(ink: tuple[int, ...], expected: tuple[int, ...]) -> None:
    image = open_image(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
    assert image.mode == "RGB"
    assert image.getpixel((8, 8)) == pytest.approx(expected, abs=3)


def test_a_cmyk_profile_is_used() -> None:
    # Paper is Lab (100,0,0), white; anything inked is Lab (50,0,0), which is sRGB grey 119 (Y = 0.1842).
    profile = cmyk_profile((100, 0, 0), (50, 0, 0))
    for ink, grey in (((0, 0, 0, 0), 255), ((0, 255, 0, 0), 119), ((0, 0, 0, 255), 119)):
        data = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100, icc_profile=profile)
        assert open_image(data).getpixel((8, 8)) == pytest.approx((grey, grey, grey), abs=2)


def test_an_rgb_profile_is_used() -> None:
    # Linear, with the roles of red and green exchanged. Level 55 of 255 is 0.2157 of the light, which sRGB writes as
    # 1.055 · 0.2157^(1/2.4) − 0.055 = 0.502, level 128.
    profile = rgb_profile(GREEN_XYZ, RED_XYZ, BLUE_XYZ)
    image = Image.new("RGB", (3, 1))
    for x, colour in enumerate((RED, BLUE, (55, 55, 55))):
        image.putpixel((x, 0), colour)
    found = pixels(open_image(encoded(image, "PNG", icc_profile=profile)))
    for pixel, expected in zip(found, (GREEN, BLUE, (128, 128, 128)), strict=True):
        assert pixel == pytest.approx(expected, abs=2)


def test_a_grey_profile_is_used() -> None:
    data = encoded(Image.new("L", (2, 2), 55), "PNG", icc_profile=grey_profile())
    assert open_image(data).getpixel((0, 0)) == pytest.approx((128, 128, 128), abs=1)


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA"])
def test_profiles_of_palettes_and_images_with_alpha(mode: str) -> None:
    profile = grey_profile() if mode == "LA" else rgb_profile(RED_XYZ, GREEN_XYZ, BLUE_XYZ)
    image = Image.new("RGBA", (2, 2), (55, 55, 55, 255)).convert(mode)
    found = open_image(encoded(image, "PNG", icc_profile=profile), alpha="keep")
    assert found.getpixel((0, 0))[:3] == pytest.approx((128, 128, 128), abs=1)  # type: ignore[index]


@pytest.mark.parametrize("profile", [b"", b"not a profile", grey_profile(), grey_profile()[:200], bytes(1000)])
def test_a_profile_that_does_not_fit_is_left_out(profile: bytes) -> None:
    image = open_image(encoded(corners(), "PNG", icc_profile=profile))
    assert pixels(image) == pixels(corners())


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    with Image.open(io.BytesIO(data)) as before:
        assert getattr(before, "n_frames", 1) == 3
    image = open_image(data)
    assert image.getpixel((4, 4)) == RED
    assert not hasattr(image, "n_frames")


def test_a_gif_with_transparency() -> None:
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.paste(RED, (0, 0, 2, 2))
    found = open_image(encoded(image, "GIF"), alpha="keep")
    assert found.getpixel((0, 0)) == (*RED, 255)
    assert found.getpixel((3, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_one_pixel(form: str) -> None:
    assert open_image(encoded(Image.new("RGB", (1, 1), WHITE), form)).size == (1, 1)


def test_a_long_strip_is_refused_unless_allowed() -> None:
    data = encoded(Image.new("L", (30_000, 10)), "PNG")
    with pytest.raises(ImageError, match=r"^The image is 30000 × 10 pixels; at most 8192 a side are read: make it sm"):
        open_image(data)
    assert open_image(data, max_side=30_000).size == (30_000, 10)


def test_a_huge_image_in_a_small_file_is_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(13_000, 13_000, b"\x78\x9c", depth=1, colour=0))
    assert path.stat().st_size < 100

    def fail(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(decode, "decode", fail)
    monkeypatch.setattr("studio.core.images.decode", fail)
    with pytest.raises(ImageError, match=r"^bomb\.png is 13000 × 13000 pixels; at most 8192 a side"):
        open_image(path)
    with pytest.raises(ImageError, match=r"^bomb\.png is 13000 × 13000 pixels, 169\.0 million; at most 16\.0 million"):
        open_image(path, max_side=20_000)


def test_a_gif_frame_larger_than_its_screen_is_measured_again() -> None:
    data = bytearray(encoded(Image.new("RGB", (40, 40), RED), "GIF"))
    data[6:10] = bytes([4, 0, 4, 0])  # the screen says 4 × 4, the frame is 40 × 40
    with pytest.raises(ImageError, match="40 × 40 pixels; at most 20 a side"):
        open_image(bytes(data), max_side=20)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.8])
def test_a_truncated_image_is_refused(form: str, share: float, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, form)
    path = tmp_path / f"half.{form.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=rf"^{path.name} is truncated or damaged; save or copy it again\.$"):
        open_image(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "an EPS or PostScript file"),
        (b"\xc5\xd0\xd3\xc6" + bytes(26), "an EPS file"),
        (b"%PDF-1.7", "a PDF"),
        (b"II*\0" + bytes(20), "a TIFF"),
        (b"MM\0*" + bytes(20), "a TIFF"),
        (b"BM" + bytes(60), "a BMP"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b" <svg xmlns='x'>", "an SVG"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\0\0\0\x20ftypheic" + bytes(20), "a HEIC"),
        (b"\0\0\0\x20ftypavif" + bytes(20), "an AVIF"),
        (b"\0\0\0\x20ftypisom" + bytes(20), "a video or another media file"),
        (b"RIFF\4\0\0\0WAVE", "not an image that we know"),
        (b"hello", "not an image that we know"),
    ],
)
def test_other_files_are_named(data: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    sentence = f"picture.png is {what}; only PNG, JPEG, WebP and GIF are read: save it as one of these."
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert str(caught.value) == sentence


def test_what_is_not_a_file(tmp_path: Path) -> None:
    for source, sentence in (
        (tmp_path / "absent.png", r"^absent\.png does not exist\.$"),
        (tmp_path, "is not a file; name an image"),
        ("a\0b.png", r"^a\?b\.png cannot be read"),
        (b"", "^The image is empty"),
        (io.BytesIO(), "^The image is empty"),
        (io.StringIO("text"), "gives text and not bytes"),
        (None, "cannot be read"),
    ):
        with pytest.raises(ImageError, match=sentence):
            open_image(source)  # type: ignore[arg-type]


def test_a_closed_file_is_refused() -> None:
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(ImageError, match="cannot be read: I/O operation on closed file"):
        open_image(file)


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
def test_a_file_too_large_is_refused_and_not_read_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_BYTES", 1 << 20)
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no disk
    stream = path.open("rb")
    try:
        source = {"bytes": bytes((1 << 20) + 1), "path": path, "file": stream}[kind]
        with pytest.raises(ImageError, match=r"is larger than 1 MB; save it smaller\.$"):
            open_image(source)
        assert stream.tell() <= (1 << 20) + 1
    finally:
        stream.close()


def test_what_we_save_opens_as_it_was() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    assert pixels(open_image(encode_png(noise))) == pixels(noise)
