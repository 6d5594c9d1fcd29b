"""Films hold the frames they were given, close tidily, and appear whole or not at all."""

import errno
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from sentences import assert_sentence

from studio.core import video
from studio.core.errors import InvalidRequest, OutputError, StudioError, UnknownName
from studio.core.video import FORMATS, Frame, open_video, write_video

SUFFIXES = FORMATS.names()


def plain(red: int, green: int, blue: int, width: int = 32, height: int = 24) -> Frame:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def decoded(path: Path) -> list[Frame]:
    """Every frame of an MP4 as RGB, read as the file says its colours are."""
    with av.open(str(path)) as film:
        frames = film.decode(video=0)
        return [f.to_ndarray(format="rgb24", src_colorspace="ITU709", src_color_range="MPEG") for f in frames]


def test_an_mp4_holds_its_frames_in_order_and_colour(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128)]
    write_video([plain(*colour) for colour in colours], tmp_path / "film.mp4", 4)
    frames = decoded(tmp_path / "film.mp4")
    assert len(frames) == 4
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 6


def test_an_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    write_video([plain(10, 20, 30)] * 30, tmp_path / "film.mp4", 30)
    with av.open(str(tmp_path / "film.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 30
        assert stream.frames == 30
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)  # BT.709, limited
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays while it loads


def test_odd_sides_repeat_their_last_row_and_column(tmp_path: Path) -> None:
    frame = plain(128, 128, 128, 33, 25)
    frame[:, -1] = frame[-1] = 255
    write_video([frame], tmp_path / "film.mp4", 1)
    (even,) = decoded(tmp_path / "film.mp4")
    assert even.shape == (26, 34, 3)
    assert even[-1].min() > 230
    assert even[:, -1].min() > 230
    assert abs(int(even[4, 4, 0]) - 128) < 6


def test_a_gif_holds_its_frames_and_plays_for_ever(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    write_video([plain(*colour) for colour in colours], tmp_path / "film.gif", 10)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
        assert film.info["loop"] == 0
        for index, colour in enumerate(colours):
            film.seek(index)
            assert film.info["duration"] == 100
            assert np.abs(np.array(film.convert("RGB")).astype(int) - colour).max() <= 8


def test_a_gif_keeps_its_speed_though_it_counts_in_hundredths(tmp_path: Path) -> None:
    write_video([plain(i * 20, 0, 255 - i * 20) for i in range(12)], tmp_path / "film.gif", 30)
    with Image.open(tmp_path / "film.gif") as film:
        times = []
        for index in range(film.n_frames):
            film.seek(index)
            times.append(film.info["duration"])
    assert sum(times) == 400
    assert set(times) == {30, 40}


def test_the_frames_of_a_gif_share_256_colours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_video([rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(4)], tmp_path / "film.gif", 10)
    colours = set()
    with Image.open(tmp_path / "film.gif") as film:
        for index in range(film.n_frames):
            film.seek(index)
            colours |= {tuple(pixel) for pixel in np.array(film.convert("RGB")).reshape(-1, 3).tolist()}
    assert 128 < len(colours) <= 256


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_leaving_midway_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    def frames() -> Iterator[Frame]:
        yield plain(1, 2, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(frames(), tmp_path / f"film{suffix}", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_generator_closed_midway_leaves_the_old_film(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"before")

    def job() -> Iterator[int]:
        with open_video(path, 10) as film:
            for step in itertools.count():
                film.add(plain(step, 0, 0))
                yield step

    running = job()
    assert [next(running), next(running)] == [0, 1]
    running.close()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_film_without_frames_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(StudioError, match="at least one frame"):
        write_video([], tmp_path / f"film{suffix}", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("second", "part"),
    [
        (plain(0, 0, 0, 34, 24), "34×24 after 32×24"),
        (np.zeros((24, 32), np.uint8), "(24, 32)"),
        (np.zeros((24, 32, 3), np.float32), "float32"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(tmp_path: Path, suffix: str, second: Frame, part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        write_video([plain(0, 0, 0), second], tmp_path / f"film{suffix}", 10)
    assert_sentence(refused.value, part)
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as refused:
        write_video([plain(0, 0, 0)], tmp_path / "film.avi", 10)
    assert_sentence(refused.value, "'.avi'", ".mp4, .gif")


@pytest.mark.parametrize(("suffix", "fps"), [(".mp4", 0), (".mp4", 101), (".gif", 51)])
def test_a_speed_out_of_range_is_refused(tmp_path: Path, suffix: str, fps: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        write_video([plain(0, 0, 0)], tmp_path / f"film{suffix}", fps)
    assert_sentence(refused.value, str(fps))


def test_a_gif_too_large_to_hold_is_refused_at_the_frame_that_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_GIF_PIXELS", 2 * 32 * 24)
    with pytest.raises(InvalidRequest) as refused:
        write_video([plain(0, 0, i) for i in range(3)], tmp_path / "film.gif", 10)
    assert_sentence(refused.value, "3 frames of 32×24", "MP4")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as refused:
        write_video([plain(0, 0, 0)], tmp_path / "file" / f"film{suffix}", 10)
    assert_sentence(refused.value, f"film{suffix}", "not a folder")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    resource = pytest.importorskip("resource")
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (128, 128, 3), dtype=np.uint8) for _ in range(8)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OutputError) as refused:
            write_video(frames, tmp_path / f"film{suffix}", 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_sentence(refused.value, f"film{suffix}", "larger than the disk allows")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as refused, open_video(tmp_path / "film.mp4", 10):
        raise av.FFmpegError(errno.EINVAL, "Invalid argument")
    assert_sentence(refused.value, "film.mp4", "Invalid argument")
