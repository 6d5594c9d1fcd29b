"""From w to pixel values, by the fastest way that gives the same bits whatever else is painted beside."""

import torch
from torch import Tensor

from studio.core.kinds import LatentModel
from studio.engine.device import Precision
from studio.models.gan import GanGenerator
from studio.models.gan_fused import FusedGan, fused, specimen

GROUP = 4  # pictures painted together; eight would gain 1 % more
DIFFERENCE = 0.02  # mean over pixels in [-1,1] that the fused form may be away; bfloat16 alone is 0.003 away


class Brush:
    """A model's synthesis, fused where its kind and the processor allow it, else as torch does it picture by picture.

    Make and call it on a worker. model: ready for inference. bytes: memory beyond the model's own.
    """

    def __init__(self, model: LatentModel, precision: Precision) -> None:
        self._model, self._precision = model, precision
        group = self._verdict() if precision.on_cpu else 0
        self._fused = self._fuse(model) if group else None
        self._group = max(group, 1)
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

    def _fuse(self, model: LatentModel) -> FusedGan | None:
        return fused(model, torch.bfloat16 if self._precision.half else torch.float32)

    def _verdict(self) -> int:
        """How many pictures a fused form of this shape may paint at once; 0 where there is none, or it does not work.

        The order of sums is oneDNN's choice, which differs between processors: so it is tried, once for a shape, and
        on weights of its own, so that the model that happens to be opened first decides nothing.
        """
        model, tried = self._model, self._precision.tried
        if not isinstance(model, GanGenerator):
            return 0
        form = (model.config, model.class_count, model.gains is not None)
        if form not in tried:
            twin = specimen(model)
            try:
                tried[form] = 0 if twin is None else self._trial(twin)
            except RuntimeError:  # an operator that this build of torch announces and does not have
                tried[form] = 0
        return tried[form]

    def _trial(self, twin: GanGenerator) -> int:
        """As _verdict, of a generator with weights of its own."""
        made = self._fuse(twin)
        assert made is not None
        w = torch.randn(GROUP, twin.layers, twin.width, generator=torch.Generator().manual_seed(0))
        alone = torch.cat([made(one) for one in w.split(1)])
        away = (alone[:1] - self._precision.synthesise(twin, w[:1])).abs().mean()
        together = GROUP if torch.equal(made(w), alone) else 1
        return together if away <= DIFFERENCE else 0
