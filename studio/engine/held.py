"""Adapters in memory: learned or brought by one session, known to nobody who has not been told their reference."""

import hashlib
import re
import threading
from collections import OrderedDict

from studio.core.checkpoint import Checkpoint
from studio.core.errors import InvalidRequest

REFERENCE = re.compile(r"adapter:[0-9a-f]{64}", re.ASCII)
MAX_HELD = 64
MAX_BYTES = 8 << 20  # of one adapter


class Held:
    """Adapters by reference; those not used for longest make room.

    A reference follows from the file's bytes, but not from its hash: a picture's recipe holds the hash, and must not
    open the artist's adapter to whoever sees the picture.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: OrderedDict[str, Checkpoint] = OrderedDict()  # the least recently used first

    def add(self, checkpoint: Checkpoint) -> str:
        """Keep an adapter in memory and return its reference."""
        if checkpoint.size > MAX_BYTES:
            raise InvalidRequest(
                f"The adapter has {checkpoint.size / 1e6:.1f} MB where {MAX_BYTES / 1e6:.1f} MB are allowed; "
                "make it of a lower rank."
            )
        reference = f"adapter:{hashlib.sha256(b'reference ' + checkpoint.contents()).hexdigest()}"
        with self._guard:
            self._held[reference] = checkpoint
            self._held.move_to_end(reference)
            while len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
        return reference

    def get(self, reference: str) -> Checkpoint:
        """The adapter of a reference. Raises InvalidRequest where it is not held, or not any more."""
        with self._guard:
            if reference in self._held:
                self._held.move_to_end(reference)
                return self._held[reference]
        raise InvalidRequest(
            f"The adapter {reference[8:16]}… is not held here any more; open its file again, or adapt again."
        )

    def __contains__(self, reference: object) -> bool:
        with self._guard:
            return reference in self._held


def is_reference(model: object) -> bool:
    """Whether a model's name is a reference to a held adapter."""
    return isinstance(model, str) and REFERENCE.fullmatch(model) is not None
