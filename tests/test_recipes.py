"""How the rate moves, which recipes there are, and which are none."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gaintuning.networks import DnCNN
from gaintuning.recipes import (
    PUBLISHED,
    AdamAlone,
    Halvings,
    LogSquare,
    MeanSquare,
    MuonAndAdam,
    Recipe,
    RiseAndFall,
    fastest_precision,
)


@given(
    steps=st.integers(1, 30_000), peak=st.floats(1e-6, 1), fall=st.floats(0.01, 1, exclude_min=True)
)
def test_the_rate_rises_stays_and_ends_near_zero(steps: int, peak: float, fall: float) -> None:
    rate = RiseAndFall(peak, fall)
    at = np.array([rate(step, steps) for step in range(0, steps, max(1, steps // 300))]) / peak
    assert at.min() > 0
    assert at.max() <= 1
    last = rate(steps - 1, steps) / peak
    assert last == pytest.approx(min(1, steps / 500, 1 / (fall * steps)))
    # It turns from rise to fall once.
    turns = np.diff(np.sign(np.diff(at)[np.diff(at) != 0]))
    assert (turns <= 0).all()
    # It is continuous: it never moves faster than its two slopes.
    slope = max(1 / 500, 1 / (fall * steps))
    for step in range(0, steps - 1, max(1, steps // 50)):
        move = abs(rate(step + 1, steps) - rate(step, steps)) / peak
        assert move <= slope + 1e-12


def test_the_plateau_is_the_stated_rate() -> None:
    rate = RiseAndFall(0.01, fall=0.4)
    assert {rate(step, 2000) for step in range(499, 1201)} == {0.01}
    assert rate(0, 2000) == pytest.approx(0.01 / 500)
    assert rate(1600, 2000) == pytest.approx(0.005)


def test_the_published_rate_is_halved_at_epochs_50_60_to_90() -> None:
    rate = Halvings(1e-3)
    assert [rate(epoch, 100) / 1e-3 for epoch in (0, 49, 50, 59, 60, 70, 80, 90, 99)] == [
        1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 32,
    ]  # fmt: skip


def test_the_published_recipe() -> None:
    assert PUBLISHED.batch * PUBLISHED.steps == pytest.approx(100 * 403_200)
    assert (PUBLISHED.patch, PUBLISHED.averaging, PUBLISHED.precision) == (50, 0, "32-true")
    assert PUBLISHED.sigma == pytest.approx((0, 55 / 255))


def test_each_optimiser_has_its_parameters_and_none_is_left_out() -> None:
    with torch.random.fork_rng():
        network = DnCNN(features=8, depth=4).to(memory_format=torch.channels_last)
    count = sum(parameter.numel() for parameter in network.parameters())
    for optimizers in (AdamAlone(), MuonAndAdam()):
        groups = [group for each in optimizers(network) for group in each.param_groups]
        assert sum(p.numel() for group in groups for p in group["params"]) == count
    assert [type(each).__name__ for each in MuonAndAdam()(network)] == ["FilterMuon", "Adam"]


def test_a_network_of_thin_layers_has_no_filters_for_muon() -> None:
    with torch.random.fork_rng():
        thin = DnCNN(features=4, depth=4)
    assert [type(each).__name__ for each in MuonAndAdam()(thin)] == ["Adam"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma": (0.2, 0.1)}, r"0 <= low < high, got 0.2 to 0.1"),
        ({"sigma": (0.1, 0.1)}, r"0 <= low < high"),
        ({"sigma": (-0.1, 0.1)}, r"0 <= low < high"),
        ({"sigma": (float("nan"), 0.1)}, r"0 <= low < high"),
        ({"sigma": (0.0, float("nan"))}, r"0 <= low < high"),
        ({"counts": (0.0, 3.0)}, r"counts must be a range 0 < low < high, got 0.0 to 3.0"),
        ({"counts": (3.0, 3.0)}, r"0 < low < high"),
        ({"patch": 0}, r"patch must be at least 1, got 0"),
        ({"batch": -4}, r"batch must be at least 1, got -4"),
        ({"steps": 0}, r"steps must be at least 1, got 0"),
        ({"averaging": -1}, r"averaging must be at least 0, got -1"),
        ({"supervised": False, "loss": LogSquare()}, r"must minimise the mean squared error"),
        ({"scales": ()}, r"scales must be numbers above 0 and at most 1"),
        ({"scales": (1.0, 1.2)}, r"scales must be numbers above 0 and at most 1, got \(1.0, 1.2\)"),
    ],
)
def test_a_recipe_that_is_none(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)


@given(error=st.floats(0.05, 0.5), times=st.floats(0.5, 2), patches=st.integers(1, 4))
def test_by_log_error_each_patch_counts_alike(error: float, times: float, patches: int) -> None:
    """Wherever a patch stands, the same gain in PSNR is worth the same."""
    clean = torch.zeros(patches, 1, 8, 8)
    noisy = torch.full_like(clean, error)
    other = noisy.clone()
    other[-1] *= times
    gained = float(LogSquare()(other, clean) - LogSquare()(noisy, clean))
    assert gained == pytest.approx(2 * np.log(times) / patches, abs=0.03)
    of_all = float(MeanSquare()(other, clean) - MeanSquare()(noisy, clean))
    assert of_all == pytest.approx(error**2 * (times**2 - 1) / patches, abs=1e-6)


def test_by_log_error_a_patch_without_noise_does_not_take_over() -> None:
    denoised = torch.full((2, 1, 8, 8), 1e-7)
    denoised[1] = 0.1
    denoised.requires_grad_(True)
    LogSquare()(denoised, torch.zeros(2, 1, 8, 8)).backward()
    assert denoised.grad is not None
    assert denoised.grad[0].abs().max() < denoised.grad[1].abs().max()


@pytest.mark.parametrize("peak", [0.0, -1e-3, float("nan"), float("inf")])
def test_a_rate_that_is_none(peak: float) -> None:
    for rate in (RiseAndFall, Halvings):
        with pytest.raises(ValueError, match=r"rate must be a number above 0"):
            rate(peak)


@pytest.mark.parametrize("fall", [0.0, -0.1, 1.1, float("nan")])
def test_a_fall_that_is_none(fall: float) -> None:
    with pytest.raises(ValueError, match=r"fall must be above 0 and at most 1"):
        RiseAndFall(fall=fall)


def test_the_precision_is_low_only_where_the_device_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for units, expected in [
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": True, "sse4a": True}, "bf16-mixed"),
        ({"avx512_bf16": True, "sse4a": False}, "32-true"),
        ({"amx_bf16": False, "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)  # noqa: B023
        assert fastest_precision(torch.device("cpu")) == expected
    assert fastest_precision(torch.device("mps")) == "32-true"
