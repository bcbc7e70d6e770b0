"""The report: complete in one file, true to the images, the same every time; and in a browser."""

import os
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, get_args

import imagecodecs
import matplotlib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.select import Select

from gaintuning.adaptation import Adaptation
from gaintuning.choosing import ObjectiveName
from gaintuning.comparison import (
    CROP,
    LARGEST,
    LEVELS,
    LIKELIHOOD_LIMIT,
    RESIDUAL_LIMIT,
    SIGNED,
    describe_plane,
    draw_views,
)
from gaintuning.denoising import Denoised, denoise
from gaintuning.judging import Risk
from gaintuning.likelihood import likelihood_map
from gaintuning.methods import LOSSES
from gaintuning.networks import DnCNN
from gaintuning.noise import Gaussian, Poisson
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.report import RISKS, describe, write_report
from gaintuning.scaling import IntensityRange
from gaintuning.trust import ErrorEstimate, Residual
from gaintuning.tuning import Schedule

KEPT = Adaptation(
    IntensityRange(0.0, 255.0),
    IntensityRange(0.0, 255.0),
    Gaussian(20.0),
    NoiseEstimate(Gaussian(20.0), standard_error=0.01),
    objective="sure",
    accepted=True,
    risk=Risk(102.01, 84.64, 1.5),
    pretrained_error=ErrorEstimate(102.01, 2.0),
    error=ErrorEstimate(84.64, 2.0),
    gains={"conv1": torch.tensor([0.9, 1.0, 1.1]), "conv2": torch.tensor([1.02])},
    losses=(120.0, 90.0, 100.0, 85.0),
)
REJECTED = replace(KEPT, accepted=False, risk=Risk(102.01, 101.5, 1.5))
UNTUNED = Adaptation(KEPT.intensity_range, KEPT.network_sees, Gaussian(20.0))

HALF_A_COLOR = 1.0001 / 256
"""How far the middle of a color's range lies from its ends, in units of a map's limit."""

CASES = {
    "plane": ((48, 64), "YX"),
    "color": ((48, 64, 3), "YXS"),
    "color with alpha": ((48, 64, 4), "YXS"),
    "stack": ((4, 48, 64), "ZYX"),
    "channels": ((2, 48, 64), "CYX"),
    "movie of channels": ((3, 2, 48, 64), "TCYX"),
}


def noise_of(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(120, 30, shape).astype(np.float32)


def nothing_expected(like: NDArray[Any]) -> NDArray[np.float32]:
    return np.full(like.shape, np.nan, np.float32)


def by_hand(
    noisy: NDArray[Any], axes: str = "YX", adaptations: tuple[Adaptation, ...] = (KEPT,)
) -> Denoised[NDArray[Any]]:
    """A result that needs no network: intensities drawn together, more so by the tuned one."""
    middle = noisy.mean()
    pretrained = (middle + (noisy - middle) / 3).astype(noisy.dtype)
    tuned = (middle + (noisy - middle) / 4).astype(noisy.dtype)
    kept = any(adaptation.accepted for adaptation in adaptations)
    image = tuned if kept else pretrained
    return Denoised(image, pretrained, nothing_expected(noisy), axes, "unet", adaptations, 1.25)


def page_of(
    folder: Path,
    noisy: NDArray[Any],
    denoised: Denoised[NDArray[Any]],
    title: str = "cells.tif",
    command: str = "gaintuning denoise cells.tif",
) -> str:
    path = folder / "report.html"
    write_report(path, noisy, denoised, title=title, command=command, overwrite=True)
    return path.read_text(encoding="utf-8")


def decode(uri: str) -> NDArray[np.uint8]:
    kind, content = uri.split(",")
    assert kind == "data:image/png;base64"
    pixels: NDArray[np.uint8] = imagecodecs.png_decode(b64decode(content))
    return pixels


def values_of(uri: str) -> NDArray[np.float64]:
    """The values of a signed map in units of its limit, from its colors."""
    colors = SIGNED(np.arange(256), bytes=True)[:, :3].astype(int)
    distances = np.abs(decode(uri)[..., None, :].astype(int) - colors).sum(axis=-1)
    return (2 * distances.argmin(axis=-1) + 1) / 256 - 1


@pytest.mark.parametrize(
    ("case", "tune"), [*((case, True) for case in CASES), ("plane", False), ("channels", False)]
)
def test_whatever_denoise_returns_can_be_reported(tmp_path: Path, case: str, tune: bool) -> None:
    shape, axes = CASES[case]
    noisy = noise_of(shape)
    with torch.random.fork_rng():
        network = DnCNN(features=8, depth=3)
    denoised = denoise(noisy, axes=axes, network=network, schedule=Schedule(steps=3), tune=tune)
    before = noisy.copy()
    page = page_of(tmp_path, noisy, denoised)
    assert np.array_equal(noisy, before)
    assert page.count("Intensity range") == len(denoised.adaptations)
    assert page.count("Loss while tuning") == tune * len(denoised.adaptations)
    assert page.count("Gains by layer</strong>") == tune * len(denoised.adaptations)
    assert ("Estimated PSNR" in page) == tune
    assert unescape(page).count(describe_plane(axes, shape)) >= 1


def test_the_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    page = page_of(tmp_path, noisy, by_hand(noisy))
    addresses = re.findall(r'\b(?:src|href|srcset|action|data)="([^"]*)"', page)
    assert len(addresses) == 1 + 3 + 3 + 2  # the icon, the images, the maps, the charts
    assert all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?:|url\(|@import|\bsrc=[^\"]", page)
    assert "default-src 'none'" in page


def test_the_page_says_what_became_of_the_tuning_and_how_to_repeat_it(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    command = "gaintuning denoise 'my cells.tif' --noise gaussian:20 && echo \"<done>\""
    for adaptation in (KEPT, REJECTED, UNTUNED):
        denoised = by_hand(noisy, adaptations=(adaptation,))
        page = unescape(page_of(tmp_path, noisy, denoised, command=command))
        assert f"<code>{command}</code>" in page
        assert adaptation.verdict[1:] in page
    assert "48 \N{MULTIPLICATION SIGN} 64, axes YX, float32" in page
    assert "unet" in page
    assert "1.25 s" in page
    for name in ("gaintuning", "torch", "numpy", "Python"):
        assert re.search(rf"{name} \d+\.\d+", page)


def test_with_several_channels_the_headline_counts_them(tmp_path: Path) -> None:
    noisy = noise_of((3, 48, 64))
    for kept, words in [
        (3, "were kept in all 3 channels"),
        (2, "was kept in 2 of 3 channels"),
        (0, "The pre-trained network was kept"),
    ]:
        some = (KEPT,) * kept + (REJECTED,) * (3 - kept)
        different = tuple(
            replace(one, pretrained_error=ErrorEstimate(102.01 + index, 1.5))
            for index, one in enumerate(some)
        )
        page = page_of(tmp_path, noisy, by_hand(noisy, "CYX", different))
        headline = re.search(r'class="verdict">(.*?)</p>', page)
        assert headline is not None
        assert words in headline[1]
        assert page.count("What was learned: channel") == 3


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    attack = "<script>alert('&')</script>\"<img src=x>"
    denoised = replace(by_hand(noisy), network=attack)
    page = page_of(tmp_path, noisy, denoised, title=attack, command=attack)
    assert page.count("<script>") == 1
    assert "<img src=x>" not in page
    assert unescape(page).count(attack) == 5  # title, heading, network twice, command


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    first = page_of(tmp_path, noisy, by_hand(noisy))
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": True}):
        assert page_of(tmp_path, noisy, by_hand(noisy)) == first
        assert matplotlib.rcParams["font.size"] == 20


@pytest.mark.parametrize("case", CASES)
def test_all_images_show_the_same_plane_in_the_same_range(case: str) -> None:
    shape, axes = CASES[case]
    noisy = noise_of(shape)
    denoised = by_hand(noisy, axes, (KEPT,) * (2 if "C" in axes else 1))
    plane = {"ZYX": 2, "CYX": 0, "TCYX": (1, 0)}.get(axes, slice(None))
    images = [
        image[plane][..., :3] if "S" in axes else image[plane]
        for image in (noisy, denoised.pretrained, denoised.image)
    ]
    low, high = np.percentile(images[-1], [0.5, 99.5])
    (view,) = draw_views(noisy, denoised)
    assert [panel.label for panel in view.panels] == ["Noisy", "Pre-trained", "Result"]
    assert (view.black, view.white) == pytest.approx((low, high))
    for panel, image in zip(view.panels, images, strict=True):
        shades = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1) * 255
        assert np.abs(decode(panel.uri) - shades).max() <= 0.5 + 1e-6


def test_without_a_kept_result_the_pretrained_one_is_shown_once() -> None:
    noisy = noise_of((48, 64))
    for adaptation in (REJECTED, UNTUNED):
        (view,) = draw_views(noisy, by_hand(noisy, adaptations=(adaptation,)))
        assert [panel.label for panel in view.panels] == ["Noisy", "Pre-trained"]
        assert view.change is None


def test_the_maps_hold_the_residual_and_the_change() -> None:
    noisy = noise_of((48, 64))
    denoised = by_hand(noisy)
    (view,) = draw_views(noisy, denoised)
    assert view.change is not None
    residual, change = noisy - denoised.image, denoised.image - denoised.pretrained
    limit = np.percentile(np.abs(change), 99.5)
    assert view.change.limit == pytest.approx(limit, rel=1e-5)
    assert view.residual_sigma == pytest.approx(residual.std(), rel=1e-5)
    assert view.noise_sigma == pytest.approx(20)
    shown = np.clip(residual / 20 / RESIDUAL_LIMIT, -1, 1)
    assert np.abs(values_of(view.residual.uri) - shown).max() <= HALF_A_COLOR
    shown = np.clip(change / limit, -1, 1)
    assert np.abs(values_of(view.change.uri) - shown).max() <= HALF_A_COLOR


def test_the_likelihood_is_shown_where_the_noise_is_independent() -> None:
    noisy = noise_of((48, 64))
    (view,) = draw_views(noisy, by_hand(noisy))
    assert view.likelihood is not None
    images = [torch.from_numpy(image[None]) for image in (noisy, by_hand(noisy).image)]
    found = likelihood_map(*images, KEPT.noise).numpy()
    shown = np.clip(found / LIKELIHOOD_LIMIT, -1, 1)
    assert np.abs(values_of(view.likelihood.uri) - shown).max() <= HALF_A_COLOR
    wide = replace(KEPT, estimate=NoiseEstimate(Gaussian(20), 0.01, stride=(2, 2)))
    (view,) = draw_views(noisy, by_hand(noisy, adaptations=(wide,)))
    assert view.likelihood is None


def test_a_large_image_is_shown_in_part_and_averaged_and_pure_noise_looks_alike_in_both() -> None:
    clean = np.full((40, LARGEST + 7), 100.0)
    clean[0] = 200.0
    noisy = np.random.default_rng(1).normal(clean, 20)
    centre, whole = draw_views(
        noisy, Denoised(clean, clean, nothing_expected(clean), "YX", "unet", (UNTUNED,), 1.0)
    )
    assert (centre.height, centre.width, centre.averaged) == (40, CROP, 1)
    assert (whole.height, whole.width, whole.averaged) == (20, (LARGEST + 7) // 2, 4)
    spreads, errors = [], []
    for view in (centre, whole):
        values = values_of(view.residual.uri)
        spreads.append(values.std())
        errors.append(values.std() / (2 * values.size) ** 0.5)
    assert max(errors) < 0.01 * spreads[0]  # unscaled, the average would have half the spread
    assert abs(spreads[0] - spreads[1]) < 4 * np.hypot(*errors)


def test_where_the_model_has_no_noise_the_residual_is_neutral() -> None:
    clean = np.full((48, 64), 9.0)
    clean[:, :32] = 0
    counts = replace(UNTUNED, noise=Poisson(1.0))
    (view,) = draw_views(
        clean + 3, Denoised(clean, clean, nothing_expected(clean), "YX", "unet", (counts,), 1.0)
    )
    values = values_of(view.residual.uri)
    assert np.abs(values[:, :32]).max() <= HALF_A_COLOR
    assert np.abs(values[:, 32:] - 3 / 3 / RESIDUAL_LIMIT).max() <= HALF_A_COLOR
    assert view.noise_sigma == pytest.approx(4.5**0.5)


def test_the_estimated_psnr_is_given_with_its_standard_error_where_there_is_one() -> None:
    facts = describe(KEPT).facts
    # 10 log10(255^2 / 102.01), and 10 / ln(10) * 2 / 102.01
    assert facts["Estimated PSNR, pre-trained"] == "28.04 ± 0.09 dB"
    assert facts["Estimated PSNR, result"] == "28.86 ± 0.10 dB"
    assert facts["Difference, standard error"] == "-17.4 ± 1.5"
    assert facts["Noise"] == "Gaussian, sigma 20 (estimated from the image)"
    negative = describe(replace(KEPT, error=ErrorEstimate(-0.5, 0.1))).facts
    assert "not above 0" in negative["Estimated PSNR, result"]
    blind = describe(replace(KEPT, objective="blind-spot", pretrained_error=None, error=None)).facts
    assert not any("PSNR" in name for name in blind)
    assert blind["Risk of the tuned network"] == "84.64"


def test_what_a_user_should_know_is_said(tmp_path: Path) -> None:
    correlated = NoiseEstimate(Gaussian(20.0), 0.01, stride=(1, 2), clipped=0.05)
    twice = IntensityRange(-128.0, 382.0)
    found = replace(KEPT, estimate=correlated, network_sees=twice)
    remarks = describe(found).remarks
    words = (
        "goes together",
        "5.0% of the pixels are cut off",
        "pixels together that lie so far apart",
        "0.5 of its contrast",
    )
    assert all(word in remark for word, remark in zip(words, remarks, strict=True))
    noisy = noise_of((48, 64))
    denoised = Denoised(noisy, noisy, nothing_expected(noisy), "YX", "unet", (found,), 1.0)
    page = page_of(tmp_path, noisy, denoised)
    assert page.count("goes together") == 1
    assert not describe(UNTUNED).remarks


def test_a_result_that_should_not_be_trusted_says_so_at_the_top(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    doubtful = replace(KEPT, residual=Residual(1.3, 0.2))
    page = page_of(tmp_path, noisy, by_hand(noisy, adaptations=(doubtful,)))
    top = unescape(page[page.index("<header>") : page.index("</header>")])
    assert top.count("Do not trust this result before a closer look.") == 2
    assert "1.30 times as strong as the noise" in top
    assert "correlate by 0.20" in top
    little = replace(KEPT, residual=Residual(0.3, 0.0))
    assert "most of the noise may still be there" in describe(little).doubts[0]
    fine = replace(KEPT, residual=Residual(0.95, -0.05))
    assert not describe(fine).doubts
    assert "Do not trust" not in page_of(tmp_path, noisy, by_hand(noisy, adaptations=(fine,)))
    two = Denoised(noisy, noisy, nothing_expected(noisy), "CYX", "unet", (fine, little), 1.0)
    channels = noise_of((2, 48, 64))
    two = replace(two, image=channels, pretrained=channels, expected_error=0 * channels)
    assert "in channel 2 before a closer look" in page_of(tmp_path, channels, two)


def test_the_mean_over_orientations_is_shown_where_no_gains_were_kept() -> None:
    noisy = noise_of((48, 64))
    (view,) = draw_views(noisy, by_hand(noisy, adaptations=(replace(REJECTED, orientations=8),)))
    assert [panel.label for panel in view.panels] == ["Noisy", "Pre-trained", "Result"]
    assert view.change is not None
    (view,) = draw_views(noisy, by_hand(noisy, adaptations=(REJECTED,)))
    assert [panel.label for panel in view.panels] == ["Noisy", "Pre-trained"]


def test_the_expected_error_is_drawn_from_0_to_its_highest_value() -> None:
    noisy = noise_of((48, 64))
    expected = np.tile(np.linspace(0, 8, 64, dtype=np.float32), (48, 1))
    (view,) = draw_views(noisy, replace(by_hand(noisy), expected_error=expected))
    assert view.expected_error is not None
    assert view.expected_error.limit == pytest.approx(8)
    shown = decode(view.expected_error.uri)
    colors = LEVELS(np.linspace(0, 1, 64), bytes=True)[:, :3].astype(int)
    assert np.abs(shown[0].astype(int) - colors).max() <= 4
    (nothing,) = draw_views(noisy, by_hand(noisy))
    assert nothing.expected_error is None


def test_a_failure_to_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = noise_of((48, 64))
    path = tmp_path / "report.html"
    path.write_text("an older page")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        page_of(tmp_path, noisy, by_hand(noisy))
    assert path.read_text() == "an older page"
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    path = tmp_path / "report.html"
    path.write_text("an older page")
    with pytest.raises(FileExistsError, match="--force"):
        write_report(path, noisy, by_hand(noisy), title="", command="")
    assert path.read_text() == "an older page"


def test_another_image_than_the_denoised_one_is_refused(tmp_path: Path) -> None:
    noisy = noise_of((48, 64))
    with pytest.raises(ValueError, match=r"\(48, 60\).*\(48, 64\)"):
        page_of(tmp_path, noisy[:, :60], by_hand(noisy))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        reason = "needs chromium and chromedriver on the PATH"
        if os.environ.get("GAINTUNING_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-quic",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: WebDriver, tmp_path: Path) -> WebDriver:
    """A page whose noisy image is black, the pre-trained gray and the tuned white."""
    tuned = np.full((300, 400), 100.0)
    tuned[:6] = 0  # the darkest hundredth is shown black
    pretrained = np.full((300, 400), 50.0)
    denoised = Denoised(tuned, pretrained, nothing_expected(tuned), "YX", "unet", (KEPT,), 1.0)
    page_of(tmp_path, np.zeros((300, 400)), denoised)
    _open(browser, tmp_path, 1200)
    return browser


def _open(browser: WebDriver, folder: Path, width: int) -> None:
    size = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((folder / "report.html").as_uri())


def shades_along(browser: WebDriver, *places: float) -> list[str]:
    """What is seen at these fractions of the width of the comparison, below its labels."""
    shot = imagecodecs.png_decode(browser.find_element(By.ID, "stage").screenshot_as_png)
    names = {0: "black", 127: "gray", 128: "gray", 255: "white"}
    row = shot[shot.shape[0] * 7 // 8]
    return [names.get(int(row[int(place * (len(row) - 1))][0]), "?") for place in places]


def cut_of(browser: WebDriver) -> float:
    """Where the divider cuts the upper image, as a fraction of its width."""
    return float(
        browser.execute_script(
            "return parseFloat(sheet.lastChild.style.clipPath.split(' ').at(-1))"
            " / sheet.offsetWidth"
        )
    )


def test_the_page_opens_without_an_error_and_every_image_is_there(page: WebDriver) -> None:
    assert page.get_log("browser") == []
    sizes = page.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(sizes) == 3 + 3 + 2 + 2  # images, maps, charts, and the two being compared
    assert all(size > 0 for size in sizes)
    nameless = "return document.querySelectorAll('img:not([alt]), img[alt=\"\"]').length"
    assert page.execute_script(nameless) == 0


def test_the_divider_follows_the_keyboard_the_mouse_and_a_setting(page: WebDriver) -> None:
    position = page.find_element(By.ID, "position")
    divider = page.find_element(By.ID, "divider")
    assert cut_of(page) == pytest.approx(0.5)
    assert shades_along(page, 0.1, 0.45, 0.55, 0.9) == ["black", "black", "white", "white"]

    before = divider.rect["x"]
    position.send_keys(*[Keys.ARROW_RIGHT] * 10)
    assert cut_of(page) == pytest.approx(0.6)
    stage = page.find_element(By.ID, "stage").rect["width"]
    assert divider.rect["x"] - before == pytest.approx(0.1 * stage, abs=1)
    assert shades_along(page, 0.1, 0.45, 0.55, 0.9) == ["black", "black", "black", "white"]

    page.execute_script("position.value = 20; position.dispatchEvent(new Event('input'))")
    assert cut_of(page) == pytest.approx(0.2)
    assert shades_along(page, 0.1, 0.45, 0.55, 0.9) == ["black", "white", "white", "white"]

    ActionChains(page).drag_and_drop_by_offset(divider, round(0.3 * stage), 0).perform()
    assert cut_of(page) == pytest.approx(0.5, abs=0.011)
    assert shades_along(page, 0.1, 0.45, 0.55, 0.9) == ["black", "black", "white", "white"]


def test_the_two_images_can_be_chosen(page: WebDriver) -> None:
    Select(page.find_element(By.ID, "left")).select_by_visible_text("Pre-trained")
    assert shades_along(page, 0.1, 0.9) == ["gray", "white"]
    assert page.find_element(By.ID, "left-tag").text == "Pre-trained"
    Select(page.find_element(By.ID, "right")).select_by_visible_text("Noisy")
    assert shades_along(page, 0.1, 0.9) == ["gray", "black"]
    assert page.get_log("browser") == []


def test_zooming_shows_whole_pixels_and_the_divider_stays_while_one_scrolls(
    page: WebDriver,
) -> None:
    Select(page.find_element(By.ID, "zoom")).select_by_visible_text("400 %")
    size, rendering, scrolled = page.execute_script(
        "return [sheet.offsetWidth, getComputedStyle(sheet.firstChild).imageRendering,"
        " frame.scrollLeft + frame.clientWidth / 2]"
    )
    assert (size, rendering) == (1600, "pixelated")
    assert scrolled == pytest.approx(800, abs=1)  # what was in the middle still is
    page.execute_script("frame.scrollLeft = 0; frame.scrollTop = 200")
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert cut_of(page) < 0.4
    assert shades_along(page, 0.1, 0.45, 0.55, 0.9) == ["black", "black", "white", "white"]


def test_the_centre_of_a_large_image_and_the_whole_can_be_chosen(
    browser: WebDriver, tmp_path: Path
) -> None:
    noisy = noise_of((40, LARGEST + 6))
    page_of(tmp_path, noisy, by_hand(noisy))
    _open(browser, tmp_path, 1200)
    aspect = "return sheet.offsetWidth / sheet.offsetHeight"
    assert browser.execute_script(aspect) == pytest.approx(CROP / 40, rel=0.02)
    Select(browser.find_element(By.ID, "view")).select_by_index(1)
    assert browser.execute_script(aspect) == pytest.approx((LARGEST + 6) / 40, rel=0.05)


@pytest.mark.parametrize("zoom", ["Fit", "400 %"])
def test_a_phone_needs_no_sideways_scrolling(browser: WebDriver, tmp_path: Path, zoom: str) -> None:
    noisy = noise_of((48, 600))
    long = "a_long_name_without_a_gap_" * 5
    page_of(tmp_path, noisy, by_hand(noisy), title=long, command=long)
    _open(browser, tmp_path, 400)
    Select(browser.find_element(By.ID, "zoom")).select_by_visible_text(zoom)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    assert browser.get_log("browser") == []


def test_there_is_a_sentence_for_each_loss() -> None:
    assert {*RISKS, "auto"} == set(get_args(ObjectiveName))
    assert set(LOSSES) == set(RISKS)
