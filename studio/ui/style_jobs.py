"""What the Style tab does. Handlers take named values, call the engine and yield views; see handlers.py."""

import base64
import binascii
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress, result_of
from studio.engine import Engine, Pictures, Styled, StylizeRequest, Variants
from studio.engine.style_requests import MAX_STYLES
from studio.ui import style_views as views
from studio.ui.handlers import Raw, View, status
from studio.ui.outbox import letter, parcel
from studio.ui.style_desk import LIVE_SIZE, STAGE, Desk, chosen, left, master_key, picture_key
from studio.ui.style_practice import kept, practise

SHEET_SIZE, SHEET_STEPS = 320, 16  # of each picture on the sheet of similarities
MOMENT = 0.15  # seconds between two pictures that are shown while one is refined
PAUSE = 0.5  # seconds between two states of the wall while it is hung
DATA = "data:image/png;base64,"
MAX_MASK = 4 << 20  # characters of a painted mask
Masters = Mapping[str, Image.Image]


@dataclass(frozen=True)
class StyleJobs:
    """The handlers of the tab, over one engine."""

    engine: Engine

    def enter(self, masters: Masters, pictures: Pictures, own: Sequence[str]) -> Iterator[View]:
        """The wall that the tab opens with, painted by the stylizer."""
        if not self.engine.can_stylize:
            yield {"none": without_stylizer()}
            return
        if len(masters) == len(self.engine.masterworks()):
            return
        shown = 0.0
        for progress in self.engine.masterwork_thumbnails():
            if progress.result is None and time.monotonic() - shown < PAUSE:
                continue
            shown = time.monotonic()
            done: dict[str, Image.Image] = progress.result or progress.preview
            yield {
                "none": "",
                "masters": done,
                "wall_view": self.wall(done, pictures, own),
                "status": status("" if progress.result else "Hanging the masterworks", progress),
            }

    def wall(self, masters: Masters, pictures: Pictures, own: Sequence[str]) -> str:
        """The wall's HTML: the artist's own styles, then the masterworks."""
        mine = {picture_key(name): pictures[name] for name in own if name in pictures}
        names = {picture_key(name): pictures.title(name) for name in own}
        names |= {master_key(name): views.title(name) for name in masters}
        return views.wall({master_key(name): image for name, image in masters.items()}, mine, names)

    def take(self, desk: Desk, file: str | None) -> Iterator[View]:
        """A photo is chosen."""
        if file is not None:
            yield from self.use(desk, desk.pictures.add(file))

    def use(self, desk: Desk, name: str, head: View | None = None) -> Iterator[View]:
        """A picture of the session becomes the photo. head: shown with it."""
        image = desk.pictures[name]
        yield {
            **(head or {}),
            "content": name,
            "photo": views.photo(image, desk.pictures.title(name)),
            "mask": None,
            "brush": views.brush(image),
        }
        yield from self.live(replace(desk, content=name, mask=None))

    def add(self, desk: Desk, files: list[str] | None, masters: Masters, own: Sequence[str]) -> Iterator[View]:
        """Pictures of the artist's own join the wall and, as far as there is room, the palette."""
        names = [desk.pictures.add(file) for file in files or ()]
        if names:
            yield from self.hang(desk, names, masters, own)

    def hang(
        self, desk: Desk, names: Sequence[str], masters: Masters, own: Sequence[str], head: View | None = None
    ) -> Iterator[View]:
        """Pictures of the session join the wall and the palette."""
        mine = tuple(dict.fromkeys((*names, *own)))
        styles = list(chosen(desk.palette))
        for name in names:
            if len(styles) < MAX_STYLES and all(style["key"] != picture_key(name) for style in styles):
                styles.append(entry(picture_key(name), desk.pictures.title(name), desk.pictures[name]))
        palette = {"styles": styles}
        yield {**(head or {}), "own": mine, "wall_view": self.wall(masters, desk.pictures, mine), "palette": palette}
        yield from self.live(replace(desk, palette=palette))

    def choose(self, desk: Desk, event: dict[str, Any], masters: Masters, own: Sequence[str]) -> Iterator[View]:
        """A click on the wall puts a style into the palette, or takes it out."""
        key = str(event.get("key"))
        styles = [style for style in chosen(desk.palette) if style["key"] != key]
        if len(styles) == len(chosen(desk.palette)):
            if len(styles) >= MAX_STYLES:
                raise InvalidRequest(f"At most {MAX_STYLES} styles can be mixed; take one out first.")
            known = {master_key(name): (views.title(name), image) for name, image in masters.items()}
            known |= {picture_key(name): (desk.pictures.title(name), desk.pictures[name]) for name in own}
            if key not in known:
                raise InvalidRequest("That style is no longer on the wall; choose another.")
            styles.append(entry(key, *known[key]))
        palette = {"styles": styles}
        yield {"palette": palette}
        yield from self.live(replace(desk, palette=palette))

    def live(self, desk: Desk) -> Iterator[View]:
        """While a slider moves, and whenever photo or styles change: the instant picture."""
        if desk.content is None:
            return
        photo = desk.pictures[desk.content]
        if not desk.ready:
            yield {"stage": views.stage(photo, None, "The photo", "no style chosen"), "done": None, "curves": ""}
            return
        learnt = kept(self.engine, desk)  # of a practice that this picture breaks off
        desk = replace(desk, **learnt)
        asked = desk.request(fast=True, start="instant", size=LIVE_SIZE)
        began, request = time.perf_counter(), self.engine.practised(asked, desk.pictures)
        styled = result_of(self.engine.stylize(request, desk.pictures))
        without = "" if request == asked else "; without its practice, which Practise brings back"
        yield {
            **learnt,
            "stage": views.stage(styled.image, photo, "Instant", desk.named),
            "done": None,
            "curves": "",
            "status": status(f"Instant, {time.perf_counter() - began:.2f} s{without}"),
        }

    def practise(self, desk: Desk) -> Iterator[View]:
        """Every picture after this is painted by codes that have practised."""
        yield from practise(self.engine, desk)

    def paint(self, desk: Desk, brush: Raw) -> Iterator[View]:
        """The mask has been painted on."""
        name = None
        if isinstance(brush, Mapping) and brush.get("mask"):
            name = desk.pictures.add(painted(brush["mask"]), "mask")
        yield {"mask": name}
        yield from self.live(replace(desk, mask=name))

    def load_mask(self, desk: Desk, mask_file: str | None) -> Iterator[View]:
        """A mask from a file."""
        if mask_file is None:
            return
        if desk.content is None:
            raise InvalidRequest("Choose the photo first, then its mask.")
        name = desk.pictures.add(mask_file)
        yield {"mask": name, "brush": views.brush(desk.pictures[desk.content], address(desk.pictures[name]))}
        yield from self.live(replace(desk, mask=name))

    def refine(self, desk: Desk) -> Iterator[View]:
        """Optimise from the instant picture, or go on where the same settings were stopped or ended."""
        request = desk.request()
        before = desk.done if desk.done is not None and further(desk.done, request) else None
        if before is not None:
            request = request.model_copy(update={"steps": more(before.steps, request.steps)})
        job = self.engine.stylize(request, desk.pictures, before)
        yield from self._follow(desk, job)

    def _follow(self, desk: Desk, job: Iterator[Progress[Styled]]) -> Iterator[View]:
        photo, shown = desk.pictures[desk.content or ""], 0.0
        for progress in job:
            styled: Styled | None = progress.result or progress.preview
            if styled is None:  # weights are being fetched
                yield {"status": status(progress.note, progress)}
                continue
            if progress.result is None and progress.step and time.monotonic() - shown < MOMENT:
                continue
            shown = time.monotonic()
            yield {
                "done": styled.light(),
                "stage": views.stage(styled.image, photo, caption(styled), desk.named),
                "curves": views.curves(styled.curves),
                "status": status(words(progress), progress),
            }

    def stopped(self, desk: Desk) -> Iterator[View]:
        """Stop was pressed; what is on the stage stays."""
        steps = desk.done.steps if desk.done is not None else 0
        said = status(f"Stopped after {steps} steps; press Refine to go on" if steps else "Stopped")
        yield {"status": said, **(kept(self.engine, desk) if desk.ready else {})}

    def diversify(self, desk: Desk) -> Iterator[View]:
        """The same pair under every similarity, side by side."""
        request = self._quick(desk.request())
        names = self.engine.similarities(request)
        for progress in self.engine.diversify(request, desk.pictures):
            variants = progress.result or progress.preview
            if variants is None:
                yield {"status": status(progress.note, progress)}
                continue
            styled = variants.styled
            yield {
                "variants": tuple(item.light() for item in styled),
                "sheet": views.sheet(names, styled, len(names)),
                "status": status(f"Diversifying{left(progress)}", progress),
            }

    def _quick(self, request: StylizeRequest) -> StylizeRequest:
        """A request small enough to be done once for each similarity."""
        smaller = {"size": min(request.size, SHEET_SIZE), "steps": min(request.steps, SHEET_STEPS)}
        return request.model_copy(update=smaller)

    def pick(self, desk: Desk, event: dict[str, Any], variants: Sequence[Styled]) -> Iterator[View]:
        """A click on the sheet puts that picture on the stage, to be carried on."""
        for styled in variants:
            if list(styled.request.similarity) == [event.get("key")]:
                yield {
                    "done": styled,
                    "start": STAGE,
                    "similarity": list(styled.request.similarity),
                    "stage": views.stage(
                        styled.image, desk.pictures[styled.request.content], caption(styled), desk.named
                    ),
                    "curves": views.curves(styled.curves),
                    "status": status("Press Refine to go on from this picture"),
                }
                return
        raise InvalidRequest("That picture is no longer on the sheet; press Diversify again.")

    def download(self, desk: Desk, keep_recipe: bool) -> Iterator[View]:
        """The picture on the stage as PNG, at the size that is chosen."""
        styled = desk.done or result_of(self.engine.stylize(desk.request(fast=True, start="instant"), desk.pictures))
        if keep_recipe:
            for name in styled.request.references:
                desk.pictures.keep(name)
        name = f"{desk.pictures.title(styled.request.content)} {caption(styled)}.png"
        recipe = styled.recipe if keep_recipe else None
        send = letter if max(styled.image.size) <= LIVE_SIZE * 2 else parcel
        yield {"outbox": send(name, styled.image, recipe), "status": status(f"Saved {name}")}

    def download_sheet(self, desk: Desk, variants: Sequence[Styled]) -> Iterator[View]:
        """The sheet of similarities as one picture."""
        if not variants:
            raise InvalidRequest("There is no sheet yet; press Diversify.")
        sheet = Variants(tuple("+".join(one.request.similarity) for one in variants), tuple(variants)).sheet()
        name = f"{desk.pictures.title(variants[0].request.content)} similarities.png"
        yield {"outbox": letter(name, sheet, None), "status": status(f"Saved {name}")}


def entry(key: str, name: str, image: Image.Image, weight: float = 1.0, practice: int = 0) -> dict[str, Any]:
    """A style as the palette shows it."""
    return {"key": key, "name": name, "source": views.thumb(image), "weight": weight, "practice": practice}


def further(done: Styled, request: StylizeRequest) -> bool:
    """Whether a result was made by the same request, but for the number of steps."""
    return done.state is not None and done.request.model_copy(update={"steps": request.steps}) == request


def more(done: int, steps: int) -> int:
    """Steps in all: the rest of those asked for, or as many again."""
    return steps if done < steps else done + steps


def caption(styled: Styled) -> str:
    """What a result is."""
    return f"Refined, {styled.steps} steps" if styled.steps else "Instant"


def words(progress: Progress[Styled]) -> str:
    """What the status line says of a refinement."""
    if progress.result is not None:
        return f"{progress.step} steps; press Refine to go further"
    if progress.note:
        return f"{progress.note}{left(progress)}: step"
    return f"Refining{left(progress)}: step"


def painted(data: Raw) -> bytes:
    """The file in a painted mask's address."""
    if not isinstance(data, str) or not data.startswith(DATA) or len(data) > MAX_MASK:
        raise InvalidRequest("The painted mask cannot be read; clear it and paint again.")
    try:
        return base64.b64decode(data.removeprefix(DATA), validate=True)
    except binascii.Error:
        raise InvalidRequest("The painted mask cannot be read; clear it and paint again.") from None


def address(mask: Image.Image) -> str:
    """A mask as an address for the canvas."""
    small, buffer = views.reduced(mask, 512).convert("L"), io.BytesIO()
    small.save(buffer, "PNG")
    return DATA + base64.b64encode(buffer.getvalue()).decode()


def without_stylizer() -> str:
    """Why the tab is empty where there is no stylizer."""
    return (
        '<p class="quiet">There is no stylizer on the shelf. Put encoder.safetensors and stylizer.safetensors beside '
        "the other models, or train them: <code>studio train stylizer</code>.</p>"
    )
