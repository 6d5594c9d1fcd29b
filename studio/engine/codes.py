"""Numbers in a request: bytes as base64, bounded; and directions as such bytes."""

import base64
import binascii
import math
import struct

import numpy as np
import torch

from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel
from studio.latent.directions import Direction

MAX_CODE = 64 << 10  # characters
MAX_SIGMA = 1e4


def encode(data: bytes) -> str:
    """Bytes → base64. Raises InvalidRequest where it is longer than a request may hold."""
    code = base64.b64encode(data).decode("ascii")
    if len(code) > MAX_CODE:
        raise InvalidRequest(
            f"This takes {len(code)} characters in a recipe, and {MAX_CODE} are allowed; lower the ranks."
        )
    return code


def decode(code: str) -> bytes:
    """Base64 → bytes. Raises ValueError, as validators do, for what is none."""
    try:
        return base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64, as the studio writes it") from None


def vector_code(direction: Direction) -> str:
    """A direction as base64: its deviation in 32 bits, its entries in 16."""
    entries = direction.vector.detach().cpu().numpy().astype("<f2").tobytes()
    return encode(struct.pack("<f", direction.sigma) + entries)


def read_vector(code: str, model: LatentModel) -> Direction:
    """The direction of a code, brought to length 1. Raises InvalidRequest where it is not one of this model."""
    data, width = decode(code), model.width
    if len(data) not in (4 + 2 * width, 4 + 2 * width * model.layers):
        raise InvalidRequest("The direction was found in another model; find it again in this one.")
    (sigma,) = struct.unpack("<f", data[:4])
    vector = torch.from_numpy(np.frombuffer(data, "<f2", offset=4).astype(np.float32))
    length = float(vector.norm())
    if not (math.isfinite(length) and length > 0 and 0 <= sigma <= MAX_SIGMA):
        raise InvalidRequest("The direction's code holds no direction, so its recipe is damaged.")
    return Direction((vector if len(vector) == width else vector.view(model.layers, width)) / length, sigma)
