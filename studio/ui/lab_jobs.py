"""What the Lab's first two benches do: the same seeds by several models, and the critic on a picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.images import open_image
from studio.core.progress import result_of
from studio.engine import Engine, Picture, SampleRequest
from studio.ui import lab_views as views
from studio.ui import pictures, shelf
from studio.ui.handlers import Raw, View, roll
from studio.ui.style_views import reduced
from studio.ui.table import there

LAB = "lab"
MAX_MODELS = 4
JUDGED = "Choose a picture to judge"
TO_JUDGE = "Drop a picture here, choose one, or send one from Explore: the critic says what it is of."


@dataclass(frozen=True)
class LabJobs:
    """The handlers of the two benches, over one engine."""

    engine: Engine

    def enter(self, models: Sequence[str], seed: Raw, count: Raw, truncation: Raw) -> Iterator[View]:
        """The tab is opened: what lies on the shelf now; at first the first two models side by side."""
        names = shelf.usable(self.engine.models())
        kept = [name for name in models or () if name in names] or names[:2]
        yield {
            "models": gr.Dropdown(choices=names, value=kept, multiselect=True),
            "critic_none": "" if self.engine.can_classify else without_critic(),
        }
        yield from self.beside(kept, seed, count, truncation)

    def beside(self, models: Sequence[str], seed: Raw, count: Raw, truncation: Raw) -> Iterator[View]:
        """The same seeds by every model that is chosen."""
        if len(models or ()) > MAX_MODELS:
            raise InvalidRequest(f"At most {MAX_MODELS} models stand side by side; got {len(models)}.")
        rows = []
        for model in models or ():
            request = SampleRequest(model=model, seed=seed, count=count, truncation=truncation)
            rows.append((self.engine.info(model), result_of(self.engine.sample(request))))
        yield {"rows": views.side_by_side(rows)}

    def dice(self, models: Sequence[str], count: Raw, truncation: Raw) -> Iterator[View]:
        """Other seeds, by chance."""
        seed = roll() % 10_000
        for view in self.beside(models, seed, count, truncation):
            yield {"seed": seed, **view}

    def card(self, event: dict[str, str]) -> Iterator[View]:
        """A model's card, rendered."""
        yield {"card": views.card(self.engine.info(str(event.get("key"))))}

    def take(self, critic_file: str | None) -> Iterator[View]:
        """A picture is brought to the critic."""
        if critic_file is not None:
            yield from self._judge(open_image(Path(critic_file)), Path(critic_file).stem)

    def explored(self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw) -> Iterator[View]:
        """The current picture of Explore is brought to the critic."""
        sample = self.engine.render(model, there(current), truncation=truncation, adaptation=adaptation)
        name = f"{sample.recipe['model']} {pictures.caption(sample.picture)}"
        for view in self._judge(sample.image, name):
            shown = {f"lab_{key}": value for key, value in view.items()}
            yield {"tabs": gr.Tabs(selected=LAB), "lab_benches": gr.Tabs(selected="critic"), **shown}

    def _judge(self, image: Image.Image, name: str) -> Iterator[View]:
        if not self.engine.can_classify:
            raise CheckpointError(without_critic_words())
        small = reduced(image, 1024)
        shares = self.engine.classify(small)
        yield {"judged": (small, name, shares), **self._seen(small, name, shares, next(iter(shares)))}

    def look(
        self, event: dict[str, str], judged: tuple[Image.Image, str, Mapping[str, float]] | None
    ) -> Iterator[View]:
        """A class is chosen: where it is seen."""
        if judged is None:
            raise InvalidRequest("There is no picture to judge yet; choose one.")
        yield self._seen(*judged, str(event.get("key")))

    def _seen(self, image: Image.Image, name: str, shares: Mapping[str, float], chosen: str) -> View:
        overlay = self.engine.saliency(image, chosen)
        sides = [(image, name or "The picture"), (overlay, f"Where {chosen} is seen")]
        note = f"{chosen}, {100 * shares[chosen]:.0f} %: bright where the critic sees it, dim where it does not"
        return {"critic_view": views.pair(sides, note, JUDGED), "bars": views.bars(shares, chosen)}


def without_critic_words() -> str:
    """What is missing where there is no critic."""
    return "The critic needs classifier.safetensors beside the other models; train it with: studio train classifier."


def without_critic() -> str:
    """The same on the page."""
    return f'<p class="quiet">{without_critic_words()}</p>'
