"""Blocks tell the noise where a denoiser takes away nothing else."""

import numpy as np
import pytest
import torch

from gaintuning._types import Denoiser, Images
from gaintuning.seen_blocks import FEWEST, FOUND, MOST, SMOOTH, SeenBlocks, look_at_blocks
from gaintuning.variance_line import Blocks, fit_lines, simplest_model

SIDE = 256


def noise(seed: int = 0) -> Images:
    return torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def look(noisy: Images, denoiser: Denoiser = torch.zeros_like) -> SeenBlocks:
    return look_at_blocks(denoiser, noisy, torch.zeros_like(noisy), 16)


def test_texture_that_was_taken_away_does_not_count_as_noise() -> None:
    """Stripes in the upper half, all taken away with the noise: three times its energy."""
    noisy = noise()
    noisy[..., : SIDE // 2, :] += 2 * torch.sin(torch.arange(SIDE) * torch.pi / 8)
    seen = look(noisy)
    assert seen.noise_alone().variance.mean() * FOUND == pytest.approx(1, rel=0.02)
    assert seen.smoother_half().variance.mean() * FOUND == pytest.approx(3, rel=0.05)


def test_noise_that_a_linear_denoiser_smooths_counts_as_noise() -> None:
    """What is left of it goes to the neighbours, so that what is taken goes together by less."""

    def smooth(noisy: Images) -> Images:
        return 0.84 * noisy.mean(dim=(-2, -1), keepdim=True) + 0.04 * (
            noisy + sum(noisy.roll(shift, axis) for shift in (1, -1) for axis in (-2, -1))
        )

    kept = look(noise(), smooth).noise_alone()
    assert len(kept.variance) == pytest.approx(MOST * (SIDE / 16) ** 2, rel=0.1)
    assert kept.variance.mean() * FOUND == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(("slope", "part"), [(SMOOTH / 2, MOST), (2 * SMOOTH, FEWEST)])
def test_of_steep_blocks_fewer_are_kept(slope: float, part: float) -> None:
    kept = look(noise(), lambda noisy: slope * noisy).noise_alone()
    assert kept.possible == int(part * (SIDE / 16) ** 2)
    assert len(kept.variance) <= kept.possible


@pytest.mark.parametrize("axis", [-1, -2])
def test_planes_of_any_shape_are_compared_place_by_place(axis: int) -> None:
    """Noise that is three times as strong in one half, among pixels apart along either axis."""
    noisy = noise()
    noisy[..., SIDE // 2 :, :] *= 3
    apart = torch.cat([noisy.unflatten(axis, (-1, 2)).select(axis, which) for which in (0, 1)])
    by_eights = look_at_blocks(torch.zeros_like, apart, torch.zeros_like(apart), 8)
    for part in (0.4, 1.0):
        assert look(noisy).rise_apart(by_eights, 1, part) == pytest.approx(1, rel=0.03)


def test_where_everything_goes_together_there_are_blocks_all_the_same() -> None:
    rows = torch.arange(SIDE, dtype=torch.float32)[:, None].expand(1, 1, SIDE, SIDE)
    seen = look(1 + rows)
    assert len(seen.noise_alone().variance) == len(seen.smoother_half().variance)


def test_a_level_that_drifts_from_smooth_to_less_smooth_blocks_is_less_certain() -> None:
    rng = np.random.default_rng(0)
    mean, level = rng.uniform(0.2, 0.8, 400), 1 + rng.normal(0, 0.05, 400)
    falling = np.repeat([1.06, 0.94], 200)
    errors = [
        simplest_model(fit_lines(Blocks(mean, 0.01 * level * drift, 256, 400)))[1]
        for drift in (np.ones(400), falling, rng.permutation(falling))
    ]
    assert errors[1] > errors[0] + 0.01
    assert errors[1] > errors[2]


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_few_blocks_tell_a_level_and_its_drift(count: int) -> None:
    found = fit_lines(Blocks(np.linspace(0.4, 0.6, count), np.linspace(0.01, 0.011, count), 256, 8))
    assert 0.009 < found.constant.constant < 0.012
    assert 0 <= found.drift < 0.1
    assert (found.drift == 0) == (count == 2)
