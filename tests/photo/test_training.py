"""Networks learn, go on from checkpoints, and code as many bits as learning told."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray
from photo.tiny_photos import waves

torch = pytest.importorskip("torch")

from neuralcodec.errors import UnsupportedInput  # noqa: E402
from neuralcodec.native.photo import regressions  # noqa: E402
from neuralcodec.photo import payload as payloads  # noqa: E402
from neuralcodec.photo import training  # noqa: E402
from neuralcodec.photo.context import padded, places_of  # noqa: E402
from neuralcodec.photo.model import PhotoModel  # noqa: E402
from neuralcodec.photo.network import Sizes, code_length, context_of  # noqa: E402
from neuralcodec.photo.payload import encode_image  # noqa: E402
from neuralcodec.photo.pool import Pool, augmented  # noqa: E402
from neuralcodec.photo.training import PlaneRun, Recipe, checked_images, train  # noqa: E402

RECIPE = Recipe(Sizes(16, 4), steps=60, batch=1024, variants=1, validation=1, seed=2)
IMAGES = [waves(48, 40 + 4 * seed, 3, seed) for seed in range(4)]


def float_bits(run: PlaneRun, image: NDArray[Any]) -> float:
    """Bits of a plane by the network in torch."""
    pool = Pool([image])
    rows = pool.rows()
    start = (rows[:, 0, None] + torch.arange(image.shape[1])).ravel()
    stride, area = (rows[:, i].repeat_interleave(image.shape[1]) for i in (2, 3))
    neighbours, fitted, samples = pool.at(start, stride, area, run.plane)
    with torch.no_grad():
        found = code_length(run.network(context_of(neighbours, fitted, run.plane)), samples, pool.depth)
    return float(found.double().sum())


def deep(image: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return an image of 12 bits in 16."""
    noise = np.random.default_rng(int(image.sum())).normal(0, 5, image.shape)
    return (image * 15.0 + 40 + noise).astype(np.uint16)


@pytest.mark.parametrize("deepen", [False, True])
def test_learning_lowers_the_rate_and_files_have_it(deepen: bool) -> None:
    more = 4 if deepen else 0
    runs: list[PlaneRun] = []
    learn = training.learn
    with mock.patch.object(training, "learn", side_effect=lambda run, *a: (runs.append(run), learn(run, *a))):
        model = train([deep(x) if deepen else x for x in IMAGES], RECIPE, header={"name": "tiny"})
    assert model.header["name"] == "tiny"
    assert model.header["figures"]["training_bpd"] < 5.0 + more
    assert model.header["figures"]["validation_bpd"] < 5.5 + more
    image = deep(waves(96, 80, 3, 9)) if deepen else waves(96, 80, 3, 9)
    bits = sum(float_bits(run, image) for run in runs)
    never = {"_looks_synthetic": mock.DEFAULT, "tables_of": mock.DEFAULT}
    still = PhotoModel([replace(one, online=0) for one in model.networks])
    with mock.patch.multiple(payloads, **never) as made:
        made["_looks_synthetic"].return_value, made["tables_of"].return_value = False, None
        payload, learned = encode_image(still, image), encode_image(model, image)
    overhead = 8 * 16
    assert abs(8 * len(payload) - bits) < overhead + 0.005 * image.size
    assert bits < (6 + more) * image.size
    assert len(learned) < len(payload)


def test_a_run_that_was_interrupted_ends_alike(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.ck"
    whole = train(IMAGES, RECIPE, every=10)

    class Stop(Exception):
        pass

    def stop(now: training.Progress) -> None:
        if (now.plane, now.step) == (1, 30):
            raise Stop

    with mock.patch.object(training, "CHECKPOINT_SECONDS", 0.0), pytest.raises(Stop):
        train(IMAGES, RECIPE, every=10, checkpoint=checkpoint, report=stop)
    again = train(IMAGES, RECIPE, every=10, checkpoint=checkpoint, resume=True)
    assert again.identity == whole.identity
    with pytest.raises(UnsupportedInput, match="other settings"):
        train(IMAGES, Recipe(Sizes(16, 4), steps=61), checkpoint=checkpoint, resume=True)
    with pytest.raises(UnsupportedInput, match="other settings"):
        train([deep(image) for image in IMAGES], RECIPE, checkpoint=checkpoint, resume=True)
    with mock.patch.object(training, "OPTIMISER", "adam"), pytest.raises(UnsupportedInput, match="other"):
        train(IMAGES, RECIPE, checkpoint=checkpoint, resume=True)
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UnsupportedInput, match="is not the checkpoint of a training"):
        train(IMAGES, RECIPE, checkpoint=checkpoint, resume=True)


def test_gray_images_make_a_model_of_one_network() -> None:
    model = train([image[:, :, 0] for image in IMAGES], Recipe(Sizes(8, 4), steps=3, batch=64, variants=0))
    assert len(model.networks) == 1


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "no images"),
        ([np.zeros((40, 40, 4), np.uint8)], "learn from gray or RGB"),
        ([np.zeros((40, 40), np.int16)], "learn from gray or RGB"),
        ([np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint16)], "image 1 has 16 bits, the first 8"),
        ([np.zeros((31, 40), np.uint8)], "40x31; the least is 32"),
        (
            [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 3), np.uint8)],
            "image 1 has 3 channels, the first 1",
        ),
    ],
)
def test_images_that_are_refused(images: list[NDArray[np.uint8]], words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words):
        checked_images(images)


def test_a_pool_draws_samples_with_their_neighbours() -> None:
    pool, image = Pool(IMAGES[:1]), IMAGES[0]
    rows = pool.rows()
    y, x = 3, 7
    start = rows[y, 0] + x
    neighbours, fitted, sample = pool.at(start[None], rows[y, 2][None], rows[y, 3][None], 2)
    planes = [padded(image[:, :, c]) for c in (1, 0, 2)]
    assert int(sample) == image[y, x, 2]
    expected = [planes[of][y + 3 + down, x + 3 + right] for of, down, right in places_of(2)]
    assert neighbours[0].tolist() == expected
    assert fitted[0].tolist() == regressions(image, (1, 0, 2))[2, y, x].tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_variants_are_images_of_the_same_kind(dtype: type) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = augmented(waves(64, 64, 3).astype(dtype), rng)
        assert (found.dtype, found.shape[2], found.flags.c_contiguous) == (dtype, 3, True)
        assert min(found.shape[:2]) >= 16


def test_threads_of_torch_are_set() -> None:
    with mock.patch.dict(os.environ, NEURALCODEC_THREADS="1"):
        train(IMAGES, Recipe(Sizes(8, 4), steps=1, batch=64, variants=0))
    assert torch.get_num_threads() == 1
