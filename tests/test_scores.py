"""What the published networks score, and what tuning does for them, where they are at hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor

from gaintuning import zoo
from gaintuning.files import read_image
from gaintuning.gains import frozen_copy
from gaintuning.layout import lay_out_network
from gaintuning.methods import tune_by
from gaintuning.metrics import psnr
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.objectives import Sure
from gaintuning.tiles import run
from gaintuning.tuning import Tuned, tune

# Mean PSNR in dB of Set12 at sigma 30, measured once with the authors' own code and networks.
AT_30 = {
    "dncnn/bias/0-55.pt": 29.52,
    "dncnn/bias_free/0-55.pt": 29.52,
    "unet/bias/0-55.pt": 29.35,
    "unet/bias_free/0-55.pt": 29.39,
}
Published = Callable[[str], Path]


def images_and_noisy(published: Published, sigma: int) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for index, path in enumerate(sorted(published("data/set12").glob("*.png"))):
        clean = torch.from_numpy(read_image(path).pixels)[None, None].float() / 255
        rng = torch.Generator().manual_seed(1000 * sigma + index)
        pairs.append((clean, Gaussian(sigma / 255).sample(clean, rng)))
    return pairs


def score(network: torch.nn.Module, noisy: Tensor, clean: Tensor) -> float:
    return psnr(torch.from_numpy(run(network, noisy)).clamp(0, 1), clean, data_range=1.0)


@pytest.mark.parametrize("name", AT_30)
def test_without_tuning_they_score_what_is_known(published: Published, name: str) -> None:
    network = lay_out_network(load_network(published(f"checkpoints/{name}"))[0])
    scores = [score(network, noisy, clean) for clean, noisy in images_and_noisy(published, 30)]
    assert len(scores) == 12
    # Between one draw of noise and another the mean of twelve images varies by about 0.01 dB.
    assert sum(scores) / 12 == pytest.approx(AT_30[name], abs=0.05)


@pytest.mark.parametrize(
    ("image", "before", "gain"),
    [("brick", 33.06, 0.90), ("page", 26.76, 0.30), ("grass", 24.26, 0.127), ("camera", 29.88, 0)],
)
def test_the_network_on_board_scores_and_gains_what_it_did(
    image: str, before: float, gain: float
) -> None:
    """Its 256 x 256 pixels repeat themselves much in the first, and hardly in the last."""
    top = 100 if image == "camera" else 0
    pixels = getattr(data, image)()[top : top + 256, top : top + 256]
    clean = torch.from_numpy(pixels)[None, None].float() / 255
    noisy = Gaussian(30 / 255).sample(clean, torch.Generator().manual_seed(0))
    network, rng = zoo.load("unet-bias-free")[0], torch.Generator().manual_seed(0)
    tuned = tune_by("sure", network, noisy, Gaussian(30 / 255), rng=rng)
    found = score(network, noisy, clean)
    assert found == pytest.approx(before, abs=0.05)
    assert score(tuned, noisy, clean) - found >= 0.85 * gain


def test_tuning_improves_an_image_like_those_of_the_training_set(published: Published) -> None:
    before, after, tuned = tuned_unet(published, 30)
    assert tuned.accepted
    assert after > before


def test_tuning_mends_noise_beyond_the_training_range(published: Published) -> None:
    before, after, tuned = tuned_unet(published, 80)
    assert tuned.accepted
    assert after - before > 6
    # The estimated risk fell by as much as the true error, which SURE promises but for what the
    # gains fit of this very noise: little, beside a fall like this one.
    truth = 10 ** (-before / 10) - 10 ** (-after / 10)
    assert tuned.risk.before - tuned.risk.after == pytest.approx(truth, rel=0.1)


def tuned_unet(published: Published, sigma: int) -> tuple[float, float, Tuned]:
    """PSNR before and after tuning on the first image of Set12."""
    network = load_network(published("checkpoints/unet/bias/0-55.pt"))[0]
    clean, noisy = images_and_noisy(published, sigma)[0]
    rng = torch.Generator().manual_seed(0)
    tuned = tune(network, noisy, Sure(sigma / 255), rng=rng)
    before = score(lay_out_network(frozen_copy(network)), noisy, clean)
    return before, score(tuned.network, noisy, clean), tuned
