"""What the text of every error must be."""

from studio.core.errors import StudioError


def assert_sentence(error: StudioError, *parts: str) -> None:
    """One line that ends with a full stop, of a length that people read, holding ``parts``."""
    text = str(error)
    assert text.isprintable(), text
    assert text.endswith(".")
    assert not text.endswith("..")
    assert 10 <= len(text) <= 500
    for part in parts:
        assert part in text
