"""The route of a film through the latent space, frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.video import Frame
from studio.engine.device import Workers
from studio.engine.lineage import origin
from studio.engine.own import levelled
from studio.engine.painter import Painter
from studio.engine.requests import Picture, WalkRequest
from studio.latent.interpolate import follow, path, schedule


@dataclass(frozen=True)
class Route:
    """Frames as styles, or as noise with the weights of classes. w: (F,L,W), z: (F,Z), weights: (F,K), or None."""

    psi: float
    w: Tensor | None = None
    z: Tensor | None = None
    weights: Tensor | None = None

    def frames(self, painter: Painter, indices: Sequence[int]) -> list[Frame]:
        """Paint some frames. → (R,R,3) each."""
        return painter.paint([self._style(painter, i) for i in indices])

    def _style(self, painter: Painter, index: int) -> Tensor:
        here = slice(index, index + 1)
        if self.z is not None:
            return painter.map(self.z[here], None if self.weights is None else self.weights[here], self.psi)
        assert self.w is not None
        return self.w[here]


def plan(painter: Painter, workers: Workers, keys: Sequence[Picture], request: WalkRequest) -> Route:
    """The way through settled keys: a spline through their styles in w, or arcs between their noise in z."""
    psi = request.truncation
    if request.space == "w":
        styles = torch.cat(levelled(workers.map(lambda key: painter.style(key, psi), keys)))
        return Route(psi, w=path(styles, request.frames, "spline", request.loop))
    origins = [origin(key, painter.model.latent_dim, painter.classes) for key in keys]
    z = torch.cat([noise for noise, _ in origins])
    weights = [row for _, row in origins if row is not None]
    route = schedule(z, request.frames, "slerp", request.loop)
    shares = follow(torch.cat(weights), route, "lerp") if weights else None
    return Route(psi, z=follow(z, route, "slerp"), weights=shares)
