"""The published Kodak curves of JPEG and WebP (CompressAI, commit 869a9f5; Pillow 7.1.2), measured again."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuralcodec.codec import Fields
from neuralcodec.codecs.classical import TABLE, classical_codec
from neuralcodec.container.signal import SignalType

FOLDER = Path(os.environ.get("NEURALCODEC_DATA", "data"), "kodak")
DOCS = Path(__file__).parents[2] / "docs" / "codecs.md"


def measured(name: str, quality: int) -> tuple[float, float]:
    """Mean bits per pixel and mean PSNR in dB over the images of Kodak."""
    codec, figures = classical_codec(name)(), []
    for number in range(1, 25):
        image = np.asarray(Image.open(FOLDER / f"kodim{number:02d}.png"))
        file = codec.encode(image, quality=quality)
        error = image.astype(float) - codec.decode(file, Fields(SignalType(image.shape, image.dtype)))
        figures.append(
            (
                8 * len(file) / (image.shape[0] * image.shape[1]),
                20 * np.log10(255) - 10 * np.log10((error**2).mean()),
            )
        )
    bpp, psnr = np.mean(figures, axis=0)
    return float(bpp), float(psnr)


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="Kodak is not below NEURALCODEC_DATA")
@pytest.mark.parametrize(
    ("quality", "bpp", "psnr"),
    [(5, 0.23441908, 28.32842371), (50, 0.72181702, 33.23755297), (85, 1.52008057, 37.77825930)],
)
def test_webp_is_as_published(quality: int, bpp: float, psnr: float) -> None:
    found = measured("webp", quality)
    assert found == (pytest.approx(bpp, rel=1e-3), pytest.approx(psnr, abs=0.01))


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason="Kodak is not below NEURALCODEC_DATA")
@pytest.mark.parametrize(
    ("quality", "bpp", "psnr"),
    [(10, 0.32661438, 26.57723034), (50, 0.90600077, 32.05865274), (90, 2.35019938, 37.91212470)],
)
def test_jpeg_is_as_published_but_for_the_chroma_of_another_library(
    quality: int, bpp: float, psnr: float
) -> None:
    found = measured("jpeg", quality)
    assert found[0] == pytest.approx(bpp, rel=3e-3)
    assert psnr - 0.01 < found[1] < psnr + 0.15


def test_the_page_of_codecs_lists_each_with_its_rate_points() -> None:
    page = DOCS.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for name in TABLE:
        kind = classical_codec(name)
        row = next(row for row in rows if f"`{name}`" in row.split("|")[1])
        if kind.quality:
            assert ", ".join(f"{point:g}" for point in kind.quality.points) in row
        for option in kind.options:
            assert f"`{option}`" in row
