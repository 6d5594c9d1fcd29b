"""Every error that a person can cause: one clear sentence each, that names the number and the remedy."""


class StudioError(Exception):
    """Base of all errors shown to people. ``str(error)`` is one sentence, fit for the page and the command line."""


class InvalidRequest(StudioError):
    """A request holds a value that cannot be used: out of range, not a number, or contradictory."""


class UnknownName(StudioError):
    """A name is not in its table; the sentence lists the known ones."""

    def __init__(self, table: str, name: object, known: tuple[str, ...]) -> None:
        listed = ", ".join(known) if known else "none is registered"
        super().__init__(f"Unknown {table} {str(name)[:80]!r}; known: {listed}.")
        self.name = name
        self.known = known


class ImageError(StudioError):
    """An image is refused at the door."""


class CheckpointError(StudioError):
    """A checkpoint file is damaged, of the wrong kind, or not one of ours."""


class DataError(StudioError):
    """A data set cannot be read or is too small for what is asked."""


class TrainingError(StudioError):
    """A training run cannot start or go on."""


class OutputError(StudioError):
    """A result cannot be written: no permission, no space, or not a folder."""


class MissingPackage(StudioError):
    """An optional package or its weights are not installed."""
