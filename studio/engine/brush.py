"""From w to pixel values, by the fastest way that gives the same bits whatever else is painted beside."""

import torch
from torch import Tensor

from studio.core.kinds import LatentModel
from studio.engine.device import Precision
from studio.models.gan_fused import FusedGan, fused

GROUP = 4  # pictures painted together; eight would gain 1 % more
DIFFERENCE = 0.02  # mean over pixels in [-1,1] that the fused form may be away; bfloat16 alone is 0.003 away


class Brush:
    """A model's synthesis, fused where its kind and the processor allow it, else as torch does it picture by picture.

    Make and call it on a worker. model: ready for inference. bytes: memory beyond the model's own.
    """

    def __init__(self, model: LatentModel, precision: Precision) -> None:
        self._model, self._precision = model, precision
        made = fused(model, torch.bfloat16 if precision.half else torch.float32) if precision.on_cpu else None
        group = 0 if made is None else self._verdict(made)
        self._fused, self._group = (made, group) if group else (None, 1)
        self.bytes = 0 if self._fused is None else self._fused.bytes

    @torch.inference_mode()
    def __call__(self, rows: Tensor) -> Tensor:
        """rows: (B,L,W), or (B,L+D,W) with details, on the device → (B,3,R,R)."""
        full, rest = divmod(len(rows), self._group)
        sizes = [self._group] * full + [1] * rest  # a group of another size was not tried
        return torch.cat([self._some(part) for part in rows.split(sizes)])

    def _some(self, rows: Tensor) -> Tensor:
        if self._fused is None:
            return self._precision.synthesise(self._model, rows)
        return self._fused(*self._model.parted(rows))

    def _verdict(self, made: FusedGan) -> int:
        """How many pictures a fused form may paint at once: 0 where it paints anything else than the model does.

        The order of sums is oneDNN's choice, which differs between processors: so it is tried, once for a form.
        """
        tried = self._precision.tried
        if made.form not in tried:
            w = torch.randn(GROUP, self._model.layers, self._model.width, generator=torch.Generator().manual_seed(0))
            alone = torch.cat([made(one) for one in w.split(1)])
            away = (alone[:1] - self._precision.synthesise(self._model, w[:1])).abs().mean()
            together = GROUP if torch.equal(made(w), alone) else 1
            tried[made.form] = together if away <= DIFFERENCE else 0
        return tried[made.form]
