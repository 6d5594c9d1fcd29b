"""Files made byte by byte, so that their meaning does not rest on the library that reads them."""

import struct
import zlib
from collections.abc import Sequence


def png(
    width: int,
    height: int,
    rows: Sequence[bytes] | bytes,
    *,
    depth: int = 8,
    colour: int = 2,
    before: Sequence[tuple[bytes, bytes]] = (),
    after: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG of unfiltered rows, or of the given image data as they are. colour: 0 grey, 2 RGB, 3 palette, 4 LA, 6 RGBA.

    before, after: further chunks around the image data.
    """
    data = rows if isinstance(rows, bytes) else zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", data), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def text_chunk(key: str, text: str | bytes) -> tuple[bytes, bytes]:
    """A tEXt chunk for ``png``."""
    return b"tEXt", key.encode() + b"\0" + (text if isinstance(text, bytes) else text.encode("latin-1"))


RED_XYZ, GREEN_XYZ, BLUE_XYZ = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
"""sRGB's primaries adapted to D50, the white of ICC profiles."""


def rgb_profile(red: tuple[float, ...], green: tuple[float, ...], blue: tuple[float, ...]) -> bytes:
    """An ICC v2 display profile with these primaries and a linear curve."""
    linear = b"curv" + bytes(4) + struct.pack(">I", 0)
    return _profile(
        b"mntr",
        b"RGB ",
        b"XYZ ",
        {
            b"rXYZ": _xyz(red),
            b"gXYZ": _xyz(green),
            b"bXYZ": _xyz(blue),
            b"rTRC": linear,
            b"gTRC": linear,
            b"bTRC": linear,
        },
    )


def grey_profile() -> bytes:
    """An ICC v2 profile of linear grey."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0)})


def cmyk_profile(no_ink: tuple[int, int, int], any_ink: tuple[int, int, int]) -> bytes:
    """An ICC v2 printer profile of two levels an ink: paper and inked corners have these CIE Lab values (L 0…100)."""
    corners = [no_ink] + [any_ink] * 15
    table = b"".join(bytes([round(L * 2.55), a + 128, b + 128]) for L, a, b in corners)
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    # lut8Type: 4 channels in, 3 out, 2 grid points; tables of 256 entries
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + table + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in value))


def _profile(device: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"handmade\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
        b"wtpt": _xyz((0.9642, 1.0, 0.8249)),
        **tags,
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += padded
    content = struct.pack(">I", len(tags)) + table + body
    header = struct.pack(">I4sI4s4s4s", 128 + len(content), bytes(4), 0x02400000, device, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + content
