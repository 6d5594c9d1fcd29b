"""The Adapt tab's pictures as HTML and as values of its scripts: what is offered, before and after, stage, curves."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from studio.adapt.job import FEWEST
from studio.core.words import amount
from studio.engine import Adaptation
from studio.engine.adapted import Verdict
from studio.engine.gathered import Taken
from studio.ui.assets import picture
from studio.ui.curves import curves
from studio.ui.pictures import data_uri
from studio.ui.style_views import reduced, thumb

Both = tuple[Image.Image, Image.Image]  # after and before
WATCHED = {"novelty": "Novelty", "diversity": "Diversity"}
LOSSES = {
    "generator": "Generator's loss",
    "discriminator": "Discriminator's loss",
    "energy": "Distance of the samples to the pictures",
}
STAGE = (
    '<figure class="compare" hidden><div class="frame"><img class="after" alt="" draggable="false">'
    '<img class="before" alt="The same seed before" draggable="false">'
    '<input type="range" min="0" max="100" value="0" aria-label="Uncover the picture before"></div>'
    "<figcaption><b></b><span></span></figcaption></figure>"
    f'<div class="nothing"><img src="{picture("adapt-example.webp")}" alt="Four seeds in four rows: as the studio '
    'paints them, then in the hands of three painters" draggable="false"><p>In each column one seed: first as the '
    "studio paints it, then in the hands of Ogata Gekko, Armand Guillaumin and Albert Bierstadt, from ten pictures of "
    "each. Add yours and press Adapt.</p></div>"
)


def offered(taken: Sequence[Taken], verdicts: Mapping[str, Verdict], pictures: Mapping[str, Image.Image]) -> str:
    """Every picture that was added, what is to be said of it, and a button that takes it out.

    verdicts: by the index of the picture, as text.
    """
    if not taken:
        return (
            '<div class="offered empty-photo" data-drop="own"><p>Drop 5 to 20 pictures of yours here, or add them '
            "with the button. They stay in this session.</p></div>"
        )
    cards = "".join(_card(str(index), one, verdicts.get(str(index)), pictures) for index, one in enumerate(taken))
    return f'<div class="offered" role="group" aria-label="Your pictures" data-drop="own">{cards}</div>'


def _card(key: str, one: Taken, verdict: Verdict | None, pictures: Mapping[str, Image.Image]) -> str:
    name, used = escape(one.name), verdict is not None and verdict.used
    text = escape(" ".join(filter(None, (one.note, verdict.text if verdict else ""))))
    image = (
        f'<img src="{thumb(pictures[one.reference])}" alt="Your picture {name}" draggable="false">'
        if one.reference
        else '<div class="free"></div>'
    )
    away = f"Take {name} out"
    return (
        f'<div class="card{"" if used else " unused"}">{image}<div class="below"><span title="{name}">{name}</span>'
        f'<button type="button" data-act="discard" data-key="{key}" aria-label="{away}" title="{away}">×</button></div>'
        f'<p class="verdict">{text}</p></div>'
    )


def count(taken: Sequence[Taken], used: int, note: str = "") -> str:
    """How many of the pictures are learned from, in words."""
    if not taken:
        return ""
    text = f"{used} of {amount(len(taken), 'picture')} will be learned from."
    text += f" At least {FEWEST} are needed." if used < FEWEST else ""
    return f'<p class="quiet" role="status">{escape(" ".join(filter(None, (text, note))))}</p>'


def rows(done: Adaptation, stage: int, sample: int) -> str:
    """The same seeds in two rows; those after can be clicked. sample: the one that is marked."""
    befores = "".join(
        f'<img src="{data_uri(image)}" alt="Picture {index} before" draggable="false">'
        for index, image in enumerate(done.before, 1)
    )
    afters = "".join(
        f'<button type="button" class="picture" data-act="pick" data-key="{index}" title="Look at picture {index + 1}" '
        f'aria-pressed="{"true" if index == sample else "false"}"><img src="{data_uri(image)}" '
        f'alt="Picture {index + 1} {age(done, stage)}" draggable="false"></button>'
        for index, image in enumerate(done.stages[stage].pictures)
    )
    return (
        '<div class="pairs" role="group" aria-label="The same seeds before and after">'
        f'<p>Before</p><div class="line8">{befores}</div>'
        f'<p>{escape(age(done, stage).capitalize())}</p><div class="line8">{afters}</div></div>'
    )


def age(done: Adaptation, stage: int) -> str:
    """How far a snapshot has come, in words."""
    step = done.stages[stage].step
    return f"after {amount(step, 'step')}" if step else "at the start, knowing your pictures"


def both(done: Adaptation, index: int, sample: int) -> Both:
    """One seed at a snapshot, and before."""
    return done.stages[index].pictures[sample], done.before[sample]


def stage(done: Adaptation, index: int, sample: int, shown: Both | None = None) -> dict[str, Any]:
    """The value of the stage: one seed after, and before it behind. shown: these two, enlarged."""
    snapshot = done.stages[index]
    after, before = shown or both(done, index, sample)
    caption = age(done, index)
    return {
        "after": data_uri(after),
        "before": data_uri(before),
        "alt": f"Picture {sample + 1} {caption}",
        "caption": f"Picture {sample + 1}",
        "note": f"{caption} · {snapshot.seconds:.0f} s",
    }


def nearest(done: Adaptation, index: int, sample: int, pictures: Mapping[str, Image.Image], name: str) -> str:
    """The uploaded picture that a sample is nearest to, and whether samples copy."""
    snapshot = done.stages[index]
    image = pictures[done.learned_from[snapshot.nearest[sample]]]
    copies = f"{snapshot.copies:.0%} of the samples come close to copying." if snapshot.copies else ""
    return (
        f'<figure class="nearest"><img src="{data_uri(reduced(image, 192))}" alt="Your picture {escape(name)}">'
        f"<figcaption><span>The nearest of yours</span><b>{escape(name)}</b>"
        f"<span>{copies or 'No sample comes close to copying.'}</span></figcaption></figure>"
    )


def drawings(done: Adaptation) -> str:
    """Novelty and diversity, then the losses."""
    return curves(done.curves, WATCHED, "What the samples show", together=True) + curves(done.curves, LOSSES, "Losses")


def working(text: str, share: float | None) -> str:
    """The line that says what the studio does. share: of the time that has gone, None where that is not known."""
    bar = "<progress></progress>" if share is None else f'<progress max="1" value="{share:.3f}"></progress>'
    return f'<p class="status busy" role="status">{escape(text)}{bar}</p>'


def nothing_to_adapt() -> str:
    """Why the tab is empty where there is no base."""
    return (
        '<p class="quiet">There is nothing to adapt on the shelf. Put meta.safetensors and meta-learner.safetensors '
        "beside the other models, or train them: <code>studio train sets</code>.</p>"
    )
