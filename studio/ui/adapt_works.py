"""What snapshots of the last adaptations are made from: large, so it is bounded, for the whole page together."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from studio.core.errors import InvalidRequest
from studio.engine import Adaptation
from studio.engine.adapted import Work

MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class Shown:
    """An adaptation as a session's state holds it, without its weights. key: by which these are found."""

    key: str
    adaptation: Adaptation


class Works:
    """Weights of adaptations by keys that nobody can guess; those not used for longest make room."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._guard = max_bytes, threading.Lock()
        self._works: OrderedDict[str, Work] = OrderedDict()

    def put(self, adaptation: Adaptation, key: str = "") -> Shown:
        """Keep an adaptation's weights, in place of those that had the key."""
        key = key or secrets.token_hex(16)
        if adaptation.work is not None:
            with self._guard:
                self._works[key] = adaptation.work
                self._works.move_to_end(key)
                while len(self._works) > 1 and sum(map(_bytes, self._works.values())) > self._max_bytes:
                    self._works.popitem(last=False)
        return Shown(key, replace(adaptation, work=None))

    def whole(self, shown: Shown) -> Adaptation:
        """The adaptation with its weights. Raises InvalidRequest where they have made room."""
        with self._guard:
            if shown.key not in self._works:
                raise InvalidRequest("The snapshots of this adaptation have made room for newer ones; adapt again.")
            self._works.move_to_end(shown.key)
            return replace(shown.adaptation, work=self._works[shown.key])

    def drop(self, key: str) -> None:
        """Forget the weights of a key."""
        with self._guard:
            self._works.pop(key, None)


def _bytes(work: Work) -> int:
    """Of the snapshots; the base is shared with nobody else, and counts once."""
    tensors = [tensor for snapshot in work.adapted.snapshots for tensor in snapshot.tuned.values()]
    tensors += list(work.base.state_dict().values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
