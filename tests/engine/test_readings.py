"""At what size the finest detail of a style is read."""

from PIL import Image
from studio_styles import photo

from studio.engine.readings import closely


def test_detail_is_read_at_the_size_of_the_painting_and_never_from_an_enlarged_picture() -> None:
    image = photo().convert("RGB")
    width, height = image.size
    assert closely(image, (width // 4, height // 4)).shape == (1, 3, height // 2, width // 2)
    for size in (image.size, (8 * width, 8 * height)):
        assert closely(image, size).shape == (1, 3, height, width)
    assert closely(Image.new("RGBA", (1, 1)), (16, 16)).shape == (1, 3, 1, 1)
