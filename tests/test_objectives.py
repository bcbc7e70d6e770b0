"""Each loss is what the paper says it is."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Objective
from gaintuning.divergence import denoise_with_divergence, random_signs
from gaintuning.gains import channel_gains, free_parameters
from gaintuning.networks import BlindSpotNet, DnCNN, UNet
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.objectives import (
    BlindSpot,
    BlindSpotByArchitecture,
    Hudson,
    LevelError,
    LevelErrorOfPair,
    Neighbor2Neighbor,
    NoiseResampling,
    Pure,
    Recorrupted,
    Sure,
    Thinned,
    Unsure,
)
from gaintuning.objectives.blind_spot import hide_pixels
from gaintuning.objectives.neighbors import draw_neighbors, pick
from gaintuning.stabilizing import Stabilized

SIGMA = 0.15


def smoothing() -> nn.Module:
    """A nonlinear denoiser of some quality: a blur, and half of what stands out of it."""

    class Smoothing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kernel = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
            self.register_buffer("kernel", (kernel[:, None] * kernel / 16)[None, None])

        def forward(self, images: Tensor) -> Tensor:
            blurred = torch.nn.functional.conv2d(images, self.kernel, padding=1)
            return blurred + torch.nn.functional.softshrink(images - blurred, 0.2)

    return Smoothing()


def clean_image(side: int = 48) -> Tensor:
    line = torch.linspace(0, 3, side, dtype=torch.float64)
    return (0.5 + 0.3 * torch.sin(line[:, None] * 2) * torch.cos(line * 3))[None, None]


def test_sure_is_unbiased_for_the_error_against_the_clean_image() -> None:
    clean, denoiser, rng = clean_image(), smoothing(), Generator().manual_seed(0)
    gaps, errors = [], []
    for _ in range(300):
        noisy = Gaussian(SIGMA).sample(clean, rng)
        error = (denoiser(noisy) - clean).square().mean()
        gaps.append(Sure(SIGMA, step=1e-3)(denoiser, noisy, rng).mean() - error)
        errors.append(error)
    gap, error = torch.stack(gaps), torch.stack(errors).mean()
    standard_error = gap.std() / len(gap) ** 0.5
    assert standard_error < 0.01 * error  # the test has power
    assert gap.mean().abs() < 4 * standard_error


def test_a_wrong_level_puts_sure_and_pure_off_by_what_is_told() -> None:
    denoiser, rng = smoothing(), Generator().manual_seed(0)
    noisy, part = Gaussian(SIGMA).sample(clean_image(), rng), 0.07

    def loss(objective: Objective) -> Tensor:
        return objective(denoiser, noisy, Generator().manual_seed(1))

    stronger, as_told = (loss(Sure(SIGMA * factor**0.5, step=0.01)) for factor in (1 + part, 1.0))
    torch.testing.assert_close(loss(LevelError(Gaussian(SIGMA), part)), stronger - as_told)
    counts = Poisson(0.05, offset=-5.0)  # no intensity lies below no count
    stronger, as_told = (
        loss(Pure(0.05 * factor, offset=-5.0, step=0.01)) for factor in (1 + part, 1.0)
    )
    torch.testing.assert_close(loss(LevelError(counts, part)), stronger - as_told)


@pytest.mark.parametrize(
    "risk",
    [Recorrupted(Gaussian(SIGMA)), Thinned(Poisson(0.02))],
    ids=lambda risk: type(risk).__name__,
)
def test_a_wrong_level_puts_pairs_off_by_what_is_told(risk: Recorrupted | Thinned) -> None:
    """Noise that is stronger by a part of its variance than it is taken for."""
    clean, denoiser, part = clean_image(), smoothing(), 0.2
    rng, draws = Generator().manual_seed(0), Generator().manual_seed(1)
    told, gaps = [], []
    for _ in range(200):
        if isinstance(risk, Recorrupted):
            truth: Noise = Gaussian(SIGMA * (1 + part) ** 0.5)
            exact: Objective = Recorrupted(truth, alpha=risk.alpha / (1 + part) ** 0.5)
        else:
            truth = Poisson(risk.noise.gain * (1 + part))
            exact = Thinned(truth, alpha=risk.alpha)
        noisy = truth.sample(clean, rng)
        gaps.append((exact(denoiser, noisy, draws) - risk(denoiser, noisy, draws)).mean())
        told.append(LevelErrorOfPair(risk, part)(denoiser, noisy, draws).mean())
    gap, expected = torch.stack(gaps), torch.stack(told).mean()
    assert abs(expected) > 10 * gap.std() / len(gap) ** 0.5  # the test has power
    assert gap.mean() == pytest.approx(float(expected), rel=0.2)


@pytest.mark.parametrize(
    "risk",
    [
        Recorrupted(Gaussian(SIGMA)),
        Recorrupted(PoissonGaussian(0.02, 0.05), first=torch.abs),
        Thinned(Poisson(0.02)),
    ],
    ids=["gaussian", "poisson-gaussian", "poisson"],
)
def test_what_a_pair_is_off_by_asks_the_denoiser_nothing_new(risk: Recorrupted | Thinned) -> None:
    noisy, seen = clean_image(), []

    def denoiser(images: Tensor) -> Tensor:
        seen.append(images)
        return images / 2

    for objective in (risk, LevelErrorOfPair(risk, 0.05)):
        objective(denoiser, noisy, Generator().manual_seed(0))
    assert torch.equal(*seen)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_recorrupted_is_unbiased_for_the_error_at_its_own_noise(alpha: float) -> None:
    """For any alpha, since no derivative is taken."""
    clean, denoiser, rng = clean_image(), smoothing(), Generator().manual_seed(0)
    gaps, errors = [], []
    for _ in range(300):
        noisy = Gaussian(SIGMA).sample(clean, rng)
        noisier = Gaussian((1 + alpha**2) ** 0.5 * SIGMA).sample(clean, rng)
        error = (denoiser(noisier) - clean).square().mean()
        gaps.append(Recorrupted(Gaussian(SIGMA), alpha)(denoiser, noisy, rng).mean() - error)
        errors.append(error)
    gap, error = torch.stack(gaps), torch.stack(errors).mean()
    standard_error = gap.std() / len(gap) ** 0.5
    assert standard_error < 0.03 * error  # the test has power
    assert gap.mean().abs() < 4 * standard_error


def test_the_gradient_of_recorrupted_is_less_noisy_than_that_of_sure() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        free = channel_gains(DnCNN(features=8, depth=4).double())
        for parameter in free.network.parameters():
            if parameter.shape[:1] == (1,):
                torch.nn.init.normal_(parameter, std=0.05)
    rng = Generator().manual_seed(0)
    noisy = Gaussian(SIGMA).sample(clean_image(), rng)

    def noise_of_the_gradient(objective: Sure | Recorrupted) -> Tensor:
        draws = torch.stack([gradient(free, objective, noisy, rng) for _ in range(30)])
        return draws.var(0).sum()

    assert noise_of_the_gradient(Recorrupted(Gaussian(SIGMA))) < 0.8 * noise_of_the_gradient(
        Sure(SIGMA)
    )


def gradient(
    free: nn.Module, objective: Sure | Recorrupted, noisy: Tensor, rng: Generator
) -> Tensor:
    loss = objective(free, noisy, rng).mean()
    return torch.cat(torch.autograd.grad(loss, free_parameters(free)))


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_recorrupted_must_add_noise(alpha: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Recorrupted(Gaussian(0.1), alpha)


def bias(
    objective: Objective, noise: Noise, error_at: Noise, images: int = 400
) -> tuple[Tensor, Tensor]:
    """Mean of the objective less the error at some noise, and what chance makes of it."""
    clean, denoiser = clean_image().expand(images, -1, -1, -1), smoothing()
    rng = Generator().manual_seed(0)
    errors = (denoiser(error_at.sample(clean, rng)) - clean).square().mean((1, 2, 3))
    gaps = objective(denoiser, noise.sample(clean, rng), rng).mean((1, 2, 3)) - errors
    standard_error = gaps.std() / len(gaps) ** 0.5
    assert standard_error < 0.04 * errors.mean()  # the test has power
    return gaps.mean(), standard_error


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (0.01, -0.3), (0.01, 0.1), (-0.01, 1.1)])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_pure_is_unbiased_for_counts_with_and_without_read_noise(
    sigma: float, gain: float, offset: float
) -> None:
    noise = PoissonGaussian(gain, sigma, offset) if sigma else Poisson(gain, offset)
    gap, chance = bias(Pure(gain, sigma, offset, step=1e-3), noise, noise)
    assert gap.abs() < 4 * chance
    for wrong in (
        Pure(1.25 * gain, sigma, offset, step=1e-3),
        Pure(gain, sigma + 0.05, offset, step=1e-3),
        Pure(gain, sigma, offset + 30 * gain, step=1e-3),
    ):
        gap, chance = bias(wrong, noise, noise)
        assert gap.abs() > 4 * chance


def test_pure_without_counts_is_sure() -> None:
    clean, denoiser = clean_image(), smoothing()
    noisy = Gaussian(SIGMA).sample(clean, Generator().manual_seed(0))
    sure = Sure(SIGMA, step=1e-3)(denoiser, noisy, Generator().manual_seed(1))
    pure = Pure(1e-12, SIGMA, step=1e-3)(denoiser, noisy, Generator().manual_seed(1))
    torch.testing.assert_close(pure, sure, rtol=1e-6, atol=1e-10)


def blur(images: Tensor) -> Tensor:
    """Linear, with a divergence per pixel of 1/4."""
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=images.dtype)
    return torch.nn.functional.conv2d(
        images, (kernel[:, None] * kernel / 16)[None, None], padding=1
    )


@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_unsure_is_unbiased_for_the_denoiser_without_divergence_at_any_level(sigma: float) -> None:
    clean, rng = clean_image().expand(400, -1, -1, -1), Generator().manual_seed(0)
    noisy = Gaussian(sigma).sample(clean, rng)
    errors = (noisy + (blur(noisy) - noisy) / (1 - 1 / 4) - clean).square().mean((1, 2, 3))
    # One image at a time, since the divergence is that of one image.
    losses = torch.cat([Unsure()(blur, image, rng).mean((1, 2, 3)) for image in noisy.split(1)])
    gaps = losses - errors - sigma**2
    chance = gaps.std() / len(gaps) ** 0.5
    assert chance < 0.005 * losses.mean()  # the test has power
    assert gaps.mean().abs() < 4 * chance
    # With (1 - d) in place of its square, as with sigma^2 left out, it would be off by far.
    assert (losses * (1 - 1 / 4) - errors - sigma**2).mean().abs() > 4 * chance
    assert (losses - errors).mean().abs() > 4 * chance


def test_unsure_does_not_care_how_much_of_the_residual_is_taken_away() -> None:
    noisy = Gaussian(SIGMA).sample(clean_image(), Generator().manual_seed(0))
    whole, half = (
        Unsure()(lambda y, c=c: y + c * (blur(y) - y), noisy, Generator().manual_seed(1))
        for c in (1.0, 0.5)
    )
    torch.testing.assert_close(whole, half)


@pytest.mark.parametrize("alpha", [0.2, 0.5])
@pytest.mark.parametrize(("gain", "offset"), [(0.02, -0.2), (-0.02, 1.2)])
def test_thinned_is_unbiased_for_the_error_at_fewer_counts(
    gain: float, offset: float, alpha: float
) -> None:
    fewer = Poisson(gain / (1 - alpha), offset)
    noise = Poisson(gain, offset)
    gap, chance = bias(Thinned(noise, alpha), noise, fewer)
    assert gap.abs() < 4 * chance
    gap, chance = bias(Thinned(Poisson(1.5 * gain, offset), alpha), noise, fewer)
    assert gap.abs() > 4 * chance


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (0.01, -0.3), (-0.01, 1.1)])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_hudson_is_unbiased_for_counts_with_and_without_read_noise(
    sigma: float, gain: float, offset: float
) -> None:
    alpha = 0.5

    def counts(gain: float, sigma: float, offset: float) -> Poisson | PoissonGaussian:
        return PoissonGaussian(gain, sigma, offset) if sigma else Poisson(gain, offset)

    noise = counts(gain, sigma, offset)
    stronger = counts(gain, sigma * (1 + alpha**2) ** 0.5, offset)
    gap, chance = bias(Hudson(noise, alpha), noise, stronger, images=1600)
    assert gap.abs() < 4 * chance
    for wrong in (
        counts(1.5 * gain, sigma, offset),
        counts(gain, sigma + 0.05, offset),
        counts(gain, sigma, offset + 30 * gain),
    ):
        gap, chance = bias(Hudson(wrong, alpha), noise, stronger, images=1600)
        assert gap.abs() > 4 * chance


def test_of_few_counts_through_anscombe_pure_is_wrong_and_the_exact_ones_are_not() -> None:
    noise, rng = Poisson(0.25), Generator().manual_seed(0)
    denoiser = Stabilized(smoothing(), noise)
    clean = (0.8 * clean_image()).clamp(min=0.02).expand(2000, -1, -1, -1)
    noisy = noise.sample(clean, rng)
    error = (denoiser(noisy) - clean).square().mean((1, 2, 3))

    def gap(objective: Objective) -> tuple[float, float]:
        gaps = objective(denoiser, noisy, rng).mean((1, 2, 3)) - error
        return float(gaps.mean() / error.mean()), float(gaps.std() / 2000**0.5 / error.mean())

    off, chance = gap(Pure(0.25))
    assert abs(off) > 0.1 + 4 * chance
    for exact in (Thinned(noise, 0.02), Hudson(noise)):
        off, chance = gap(exact)
        assert chance < 0.05  # the test has power
        assert abs(off) < 0.05 + 3 * chance


def test_intensities_between_counts_keep_their_mean() -> None:
    noisy = torch.full((1, 1, 300, 300), 2.3)
    seen = []

    def denoiser(images: Tensor) -> Tensor:
        seen.append(images)
        return images

    Thinned(Poisson(1.0))(denoiser, noisy, Generator().manual_seed(0))
    whole = seen[0][1]
    assert set(whole.unique().tolist()) == {2.0, 3.0}
    assert whole.mean().item() == pytest.approx(2.3, abs=0.01)
    Thinned(Poisson(0.1))(denoiser, torch.full((1, 1, 300, 300), 0.3), Generator().manual_seed(0))
    assert set((10 * seen[1][1]).round().unique().tolist()) == {3.0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pure(0.0),
        lambda: Pure(0.1, -1.0),
        lambda: Recorrupted(Gaussian(0.1), 0.0),
        lambda: Hudson(Poisson(0.1), 0.0),
        lambda: Thinned(Poisson(0.1), alpha=1.0),
        lambda: Neighbor2Neighbor(-1.0),
        lambda: BlindSpot(guard=5),
        lambda: Unsure(step=0.0),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"got -?\d"):
        make()


def test_neighbors_share_an_edge_and_stand_in_their_cell() -> None:
    rng = Generator().manual_seed(0)
    places = torch.arange(10.0 * 12).reshape(1, 1, 10, 12)
    first, second = draw_neighbors(places, rng)
    apart = (pick(places, first) - pick(places, second)).abs()
    assert set(apart.unique().tolist()) == {1.0, 12.0}
    corner = torch.floor(pick(places, first) / 24) * 24 // 12
    assert torch.equal(corner, torch.arange(0.0, 10, 2)[:, None].expand(5, 6)[None, None])
    counts = torch.stack([(first == index).sum() for index in range(4)])
    assert counts.min() > 0


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_neighbor2neighbor_takes_account_of_what_the_two_scenes_differ_by(weight: float) -> None:
    """Of who knows the clean image the second term is the noise's variance alone, and lowest."""
    clean = 0.3 * torch.rand(1, 1, 64, 64, generator=Generator().manual_seed(5), dtype=torch.double)
    first, second = draw_neighbors(clean, Generator().manual_seed(1))

    def knowing(images: Tensor) -> Tensor:
        return clean if images.shape == clean.shape else pick(clean, first)

    losses = []
    for seed in range(300):
        noisy = Gaussian(SIGMA).sample(clean, Generator().manual_seed(100 + seed))
        rng = Generator().manual_seed(1)
        losses.append(Neighbor2Neighbor(weight)(knowing, noisy, rng).mean())
    found = torch.stack(losses)
    apart = (pick(clean, first) - pick(clean, second)).square().mean()
    chance = found.std() / len(found) ** 0.5
    assert chance < 0.02 * SIGMA**2
    assert (found.mean() - apart - (1 + weight) * SIGMA**2).abs() < 4 * chance


@pytest.mark.parametrize("guard", [0, 1])
def test_the_masked_blind_spot_loss_estimates_the_error_where_pixels_are_hidden(guard: int) -> None:
    """And the noise's variance, whatever the denoiser makes of what it sees."""
    clean, denoiser, rng = clean_image(), smoothing(), Generator().manual_seed(0)
    loss, gaps = BlindSpot(fraction=0.1, guard=guard), []
    for seed in range(400):
        noisy = Gaussian(SIGMA).sample(clean, rng)
        masked, scored = hide_pixels(noisy, 0.1, loss.radius, guard, Generator().manual_seed(seed))
        error = ((denoiser(masked) - clean).square() * scored).sum() / scored.sum()
        found = loss(denoiser, noisy, Generator().manual_seed(seed)).mean()
        gaps.append(found - error - SIGMA**2)
    gap = torch.stack(gaps)
    chance = gap.std() / len(gap) ** 0.5
    assert chance < 0.03 * SIGMA**2
    assert gap.mean().abs() < 4 * chance
    # Were pixels scored that are seen, their noise would follow the prediction.
    seen = torch.stack(
        [
            (denoiser(noisy) - noisy).square().mean() - (denoiser(noisy) - clean).square().mean()
            for noisy in (Gaussian(SIGMA).sample(clean, rng) for _ in range(20))
        ]
    )
    assert seen.mean() < 0.9 * SIGMA**2


def test_neighbor2neighbor_is_the_error_of_a_noisy_target_on_a_flat_scene() -> None:
    """Where nothing differs between neighbours, its mean is the error plus the noise's variance."""
    flat, rng = torch.full((1, 1, 64, 64), 0.5, dtype=torch.float64), Generator().manual_seed(0)
    flat = flat.expand(200, -1, -1, -1)
    noisy = Gaussian(SIGMA).sample(flat, rng)
    losses = Neighbor2Neighbor(weight=0.0)(smoothing(), noisy, rng).mean((1, 2, 3))
    half = flat[..., ::2, ::2]
    errors = (smoothing()(Gaussian(SIGMA).sample(half, rng)) - half).square().mean((1, 2, 3))
    chance = ((losses.var() + errors.var()) / 200).sqrt()
    assert chance < 0.02 * SIGMA**2
    assert (losses.mean() - errors.mean() - SIGMA**2).abs() < 4 * chance


@pytest.mark.parametrize("guard", [1, 3])
def test_a_guard_hides_the_surroundings_of_a_scored_pixel(guard: int) -> None:
    noisy = torch.rand(1, 1, 60, 64, generator=Generator().manual_seed(0))
    masked, scored = hide_pixels(noisy, 0.2, 5, guard, Generator().manual_seed(1))
    assert scored.sum() > 5
    changed = noisy.clone()
    for _, _, row, column in scored.nonzero().tolist():
        changed[
            ..., max(0, row - guard) : row + guard + 1, max(0, column - guard) : column + guard + 1
        ] += 1
    again, _ = hide_pixels(changed, 0.2, 5, guard, Generator().manual_seed(1))
    assert torch.equal(masked, again)


def test_a_wrong_sigma_would_be_noticed() -> None:
    clean, denoiser, rng = clean_image(), smoothing(), Generator().manual_seed(0)
    gaps = []
    for _ in range(300):
        noisy = Gaussian(SIGMA).sample(clean, rng)
        error = (denoiser(noisy) - clean).square().mean()
        gaps.append(Sure(1.05 * SIGMA, step=1e-3)(denoiser, noisy, rng).mean() - error)
    gap = torch.stack(gaps)
    assert gap.mean().abs() > 4 * gap.std() / len(gap) ** 0.5


def test_the_divergence_of_a_linear_map_is_its_trace() -> None:
    rng = Generator().manual_seed(0)
    matrix = torch.randn(30, 30, generator=rng, dtype=torch.float64)

    def linear(images: Tensor) -> Tensor:
        return (images.reshape(-1, 30) @ matrix.T).reshape(images.shape)

    noisy = torch.rand(1, 1, 5, 6, generator=rng, dtype=torch.float64)
    sums = torch.stack(
        [denoise_with_divergence(linear, noisy, 1e-3, rng)[1].sum() for _ in range(2000)]
    )
    standard_error = sums.std() / len(sums) ** 0.5
    assert standard_error < 0.2 * matrix.norm()
    assert (sums.mean() - matrix.trace()).abs() < 4 * standard_error


def test_the_probe_is_signs() -> None:
    signs = random_signs(torch.zeros(4, 1, 50, 50), Generator().manual_seed(0))
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert signs.mean().abs() < 4 / 100


@pytest.mark.parametrize("shape", [(1, 1, 33, 40), (2, 3, 32, 35)])
def test_the_prediction_at_a_hidden_pixel_does_not_depend_on_it(shape: tuple[int, ...]) -> None:
    rng = Generator().manual_seed(1)
    noisy = torch.rand(shape, generator=rng)
    masked, hidden = hide_pixels(noisy, 0.015, 5, 0, Generator().manual_seed(2))
    places = (hidden[:, 0] > 0).nonzero()
    assert len(places) > 10
    # Whatever is written into the hidden pixels, the network is shown the same.
    other = torch.where(hidden > 0, torch.rand(shape, generator=rng), noisy)
    again, _ = hide_pixels(other, 0.015, 5, 0, Generator().manual_seed(2))
    assert torch.equal(masked, again)
    assert torch.equal(masked[hidden == 0], noisy[hidden == 0])
    # What replaces a pixel stood within five rows and columns of it.
    for image, row, column in places.tolist():
        near = noisy[image, 0, max(row - 5, 0) : row + 6, max(column - 5, 0) : column + 6]
        assert masked[image, 0, row, column] in near


def test_the_derivative_of_the_masked_prediction_in_its_own_pixel_is_zero() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet().eval()
    noisy = torch.rand(1, 1, 16, 16, generator=Generator().manual_seed(0)).requires_grad_()
    masked, hidden = hide_pixels(noisy, 0.05, 5, 0, Generator().manual_seed(1))
    output = network(masked)
    for _, _, row, column in hidden.nonzero().tolist():
        (gradient,) = torch.autograd.grad(output[0, 0, row, column], noisy, retain_graph=True)
        assert gradient[0, 0, row, column] == 0
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.45])
def test_the_mask_hides_the_fraction_asked_for(fraction: float) -> None:
    _, hidden = hide_pixels(torch.zeros(1, 1, 200, 200), fraction, 5, 0, Generator().manual_seed(0))
    assert abs(hidden.mean() - fraction) < 4 * (fraction / 200**2) ** 0.5 + 1e-4


def test_the_blind_spot_loss_estimates_the_error_plus_the_noise() -> None:
    clean, rng = clean_image(96), Generator().manual_seed(0)

    def blind(images: Tensor) -> Tensor:  # the mean of the four neighbours
        wide = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
        return (
            wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1] + wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:]
        ) / 4

    gaps = []
    for _ in range(200):
        noisy = Gaussian(SIGMA).sample(clean, rng)
        truth = (blind(noisy) - clean).square()[..., 1:-1, 1:-1].mean() + SIGMA**2
        loss = BlindSpotByArchitecture()(blind, noisy, rng)[..., 1:-1, 1:-1].mean()
        gaps.append(loss - truth)
    gap = torch.stack(gaps)
    standard_error = gap.std() / len(gap) ** 0.5
    assert standard_error < 0.01 * SIGMA**2
    assert gap.mean().abs() < 4 * standard_error


def test_masked_and_architectural_blind_spot_agree_for_a_blind_network() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BlindSpotNet().eval()
    noisy = torch.rand(1, 1, 64, 64, generator=Generator().manual_seed(0))
    rng = Generator().manual_seed(3)
    with torch.no_grad():
        by_architecture = BlindSpotByArchitecture()(network, noisy, rng)
        for _ in range(20):
            # One pixel hidden: it is not seen in its own place, so its prediction is the same.
            loss = BlindSpot(fraction=2e-4)(network, noisy, rng)
            if (loss > 0).sum() == 1:
                place = loss > 0
                torch.testing.assert_close(loss[place] / loss.numel(), by_architecture[place])
                break
        else:
            pytest.fail("no draw hid a single pixel")


def test_noise_resampling_is_the_error_of_removing_fresh_noise_from_the_first_result() -> None:
    clean, rng = clean_image(96), Generator().manual_seed(0)
    objective = NoiseResampling(smoothing(), Gaussian(SIGMA))
    loss = objective(lambda images: images, clean, rng)
    standard_error = loss.std() / loss.numel() ** 0.5
    assert (loss.mean() - SIGMA**2).abs() < 4 * standard_error


def test_noise_resampling_draws_poisson_noise_too() -> None:
    clean, rng = clean_image(96), Generator().manual_seed(0)
    objective = NoiseResampling(lambda images: images, Poisson(0.1))
    loss = objective(lambda images: images, clean, rng)
    assert (loss.mean() - 0.1 * clean.mean()).abs() < 4 * loss.std() / loss.numel() ** 0.5


def test_gradients_of_sure_in_the_gains_equal_finite_differences() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = channel_gains(DnCNN(features=6, depth=4).double())
    noisy = Gaussian(SIGMA).sample(clean_image(12), Generator().manual_seed(0))

    def loss() -> Tensor:
        return Sure(SIGMA)(network, noisy, Generator().manual_seed(1)).mean()

    loss().backward()
    for gain in free_parameters(network):
        with torch.no_grad():
            gain[0] += 1e-6
            above = loss()
            gain[0] -= 2e-6
            below = loss()
            gain[0] += 1e-6
        assert abs((above - below) / 2e-6 - gain.grad[0]) < 1e-6


def test_objectives_leave_the_image_alone_and_repeat_with_the_generator() -> None:
    denoiser, noisy = smoothing(), clean_image()
    before = noisy.clone()
    for objective in (
        Sure(SIGMA),
        BlindSpot(),
        BlindSpotByArchitecture(),
        NoiseResampling(denoiser, Gaussian(SIGMA)),
        Recorrupted(Gaussian(SIGMA)),
        Pure(0.01),
        Thinned(Poisson(0.01)),
    ):
        first = objective(denoiser, noisy, Generator().manual_seed(5))
        second = objective(denoiser, noisy, Generator().manual_seed(5))
        assert first.shape == noisy.shape
        assert torch.equal(first, second)
        assert torch.equal(noisy, before)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_sure_refuses_a_sigma_that_is_none(sigma: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sure(sigma)


def test_blind_spot_refuses_settings_that_hide_nothing_or_too_much() -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        BlindSpot(fraction=0.0)
    with pytest.raises(ValueError, match="at least 1"):
        BlindSpot(radius=0)
