"""Training is a function of its recipe, may stop and go on, and learns."""

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from skimage import io
from torch import Generator, Tensor, nn

from gaintuning.binning import binned
from gaintuning.files import SUFFIXES
from gaintuning.networks import DnCNN, UNet
from gaintuning.networks.checkpoint import build, load_network
from gaintuning.pretrain_command import (
    choose_recipe,
    pretrain_network,
    read_clean_images,
    start_card,
    start_network,
)
from gaintuning.pretraining import Pretrained, make_fabric, pretrain, rescaled, training_pair
from gaintuning.recipes import PUBLISHED, AdamAlone, Halvings, Recipe, RiseAndFall

FAST_RATE = RiseAndFall(0.05)
TINY = Recipe(patch=12, batch=2, steps=6, rate=FAST_RATE)


def tiny_network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DnCNN(features=8, depth=3)


def smooth_images(count: int = 4, side: int = 30) -> list[Tensor]:
    line = torch.linspace(0, 3, side)
    return [
        (0.5 + 0.4 * torch.sin(line[:, None] * (1 + i)) * torch.cos(line * 2 - i))[None]
        for i in range(count)
    ]


def train(folder: Path, network: nn.Module | None = None, recipe: Recipe = TINY) -> Pretrained:
    return pretrain(
        network or tiny_network(),
        smooth_images(),
        recipe,
        folder / "state.pt",
        fabric=make_fabric("cpu", recipe.precision),
        save_every=2,
    )


class PowerCutError(Exception):
    """What stops a run."""


def stop_after(steps: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == steps:
            raise PowerCutError

    return progress


def assert_same(network: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def differs(network: nn.Module, other: nn.Module) -> bool:
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    return any(not torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("stops", [[1], [2], [5], [3, 5]])
@pytest.mark.parametrize("build", [tiny_network, lambda _: UNet()], ids=["dncnn", "unet"])
@pytest.mark.parametrize("changes", [{}, {"optimizers": AdamAlone(), "precision": "bf16-mixed"}])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    tmp_path: Path,
    stops: list[int],
    build: Callable[[int], nn.Module],
    changes: dict[str, Any],
) -> None:
    recipe = replace(TINY, **changes)

    def network() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build(0)

    whole = train(tmp_path, network(), recipe)
    (tmp_path / "state.pt").unlink()
    for stop in stops:
        with pytest.raises(PowerCutError):
            pretrain(
                network(),
                smooth_images(),
                recipe,
                tmp_path / "state.pt",
                fabric=make_fabric("cpu", recipe.precision),
                save_every=2,
                progress=stop_after(stop),
            )
    resumed = train(tmp_path, network(), recipe)
    assert_same(resumed.network, whole.network)
    assert resumed.validation_psnr == whole.validation_psnr
    assert differs(whole.network, network())
    table = (tmp_path / "state.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["step", "2", "4", "6"]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_pretraining import TINY, smooth_images, tiny_network
from gaintuning.pretraining import make_fabric, pretrain

pretrain(
    tiny_network(), smooth_images(), TINY, Path(sys.argv[1]), fabric=make_fabric("cpu"),
    save_every=2, progress=lambda done, _: sys.stdin.readline() if done == 5 else None,
)
"""


def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    command = [sys.executable, "-c", KILLED, str(state), str(Path(__file__).parent)]
    # It waits after its fifth step for a line that does not come.
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        while not (state.exists() and torch.load(state, weights_only=True)["step"] == 4):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = train(tmp_path)
    state.unlink()
    assert_same(resumed.network, train(tmp_path).network)


def test_weights_are_averaged_over_the_last_steps(tmp_path: Path) -> None:
    network, recipe = tiny_network(), replace(TINY, averaging=3, steps=9)
    weights: list[Tensor] = []
    pretrain(
        network,
        smooth_images(),
        recipe,
        tmp_path / "state.pt",
        fabric=make_fabric("cpu"),
        progress=lambda *_: weights.append(network.get_parameter("last_layer.weight").clone()),
    )
    mean = weights[0]
    for each in weights[1:]:
        mean = mean + (each - mean) / 3
    torch.testing.assert_close(network.get_parameter("last_layer.weight"), mean)
    assert not torch.equal(mean, weights[-1])


def test_without_averaging_the_last_weights_count(tmp_path: Path) -> None:
    network, last = tiny_network(), {}

    def keep(*_: int) -> None:
        last.update({name: value.clone() for name, value in network.state_dict().items()})

    recipe = replace(TINY, averaging=0)
    fabric = make_fabric("cpu")
    pretrain(network, smooth_images(), recipe, tmp_path / "state.pt", fabric=fabric, progress=keep)
    for name, value in network.state_dict().items():
        assert torch.equal(value, last[name]), name


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_are_those_of_the_start(tmp_path: Path, frozen: bool) -> None:
    network = tiny_network()
    layer = network.get_submodule("bn_layer_list.0")
    layer.running_mean.fill_(0.1)
    layer.running_var.fill_(2.0)
    noisy = torch.rand(1, 1, 20, 20, generator=Generator().manual_seed(0))
    before = network.eval()(noisy)
    train(tmp_path, network, replace(TINY, frozen_statistics=frozen, steps=2))
    unchanged = bool((layer.running_mean == 0.1).all() and (layer.running_var == 2.0).all())
    assert unchanged == frozen
    assert not torch.equal(network(noisy), before)
    assert not layer.training


def test_unsupervised_training_sees_no_clean_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised = train(tmp_path).network
    (tmp_path / "state.pt").unlink()

    def hide(*arguments: Any) -> tuple[Tensor, Tensor]:
        noisy, clean = training_pair(*arguments)
        return noisy, torch.full_like(clean, torch.nan)

    monkeypatch.setattr("gaintuning.pretraining.training_pair", hide)
    found = train(tmp_path, recipe=replace(TINY, supervised=False)).network
    assert all(parameter.isfinite().all() for parameter in found.parameters())
    assert differs(found, supervised)


def test_images_are_used_at_each_scale() -> None:
    ramp = torch.linspace(0.2, 0.8, 40).expand(1, 40, 40)
    whole, half = rescaled([ramp], (1.0, 0.5))
    assert whole is ramp
    assert half.shape == (1, 20, 20)
    # A half are the means of bins of two, as a network is shown them; other sizes are smooth.
    torch.testing.assert_close(half, binned(ramp[None], 2)[0])
    (smaller,) = rescaled([ramp], (0.8,))
    assert smaller.shape == (1, 32, 32)
    # A ramp stays a ramp, of a greater slope, but for ripples of 1 %; at the border pixels are
    # repeated.
    steps = smaller[0, :, 3:-3].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 0.6 / 39 / 0.8), atol=0, rtol=0.015)


def test_a_run_that_has_ended_may_be_prolonged(tmp_path: Path) -> None:
    done = []
    train(tmp_path)
    longer = Recipe(patch=12, batch=2, steps=8, rate=FAST_RATE)
    found = pretrain(
        tiny_network(),
        smooth_images(),
        longer,
        tmp_path / "state.pt",
        fabric=make_fabric("cpu"),
        progress=lambda step, total: done.append((step, total)),
    )
    assert done == [(7, 8), (8, 8)]
    assert found.steps == 8


@pytest.mark.parametrize(
    "other",
    [
        Recipe(patch=12, batch=2, steps=6, rate=FAST_RATE, seed=1),
        Recipe(patch=13, batch=2, steps=6, rate=FAST_RATE),
        Recipe(patch=12, batch=2, steps=6, rate=FAST_RATE, sigma=(0.0, 0.1)),
        Recipe(patch=12, batch=2, steps=5, rate=FAST_RATE),
    ],
)
def test_the_state_of_another_training_is_not_gone_on_from(tmp_path: Path, other: Recipe) -> None:
    train(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"holds 6 steps .* other settings, .*; delete it",
    ):
        train(tmp_path, recipe=other)


def test_the_state_of_another_network_is_not_gone_on_from(tmp_path: Path) -> None:
    train(tmp_path)
    with torch.random.fork_rng():
        other = DnCNN(features=8, depth=4)
    with pytest.raises(ValueError, match=r"state\.pt holds 6 steps .* first weights; delete it"):
        train(tmp_path, other)


def test_the_state_of_other_first_weights_or_images_is_not_gone_on_from(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ValueError, match=r"other settings, images or first weights"):
        train(tmp_path, tiny_network(seed=9))
    with pytest.raises(ValueError, match=r"other settings, images or first weights"):
        pretrain(tiny_network(), smooth_images(5), TINY, tmp_path / "state.pt")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_state_is_told_of(tmp_path: Path, share: float) -> None:
    train(tmp_path)
    state = tmp_path / "state.pt"
    content = state.read_bytes()
    state.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"damaged .* delete it to start anew"):
        train(tmp_path)


@pytest.mark.parametrize("step", ["save", "replace"])
def test_a_save_that_fails_leaves_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    train(tmp_path)
    before = (tmp_path / "state.pt").read_bytes()

    def fail(*content: Any) -> None:
        if step == "save":
            content[1].write(b"half of it")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((torch, "save") if step == "save" else (Path, "replace")), fail)
        with pytest.raises(OSError, match="no space left"):
            train(tmp_path, recipe=Recipe(patch=12, batch=2, steps=8, rate=FAST_RATE))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "state.csv",
        "state.pt",
        "state.svg",
    ]
    assert (tmp_path / "state.pt").read_bytes() == before


def test_training_lowers_the_error(tmp_path: Path) -> None:
    recipe = Recipe(sigma=(0.1, 0.2), patch=12, batch=8, steps=60, rate=FAST_RATE, averaging=5)
    network, images = tiny_network(), smooth_images()
    noisy, clean = training_pair(images, recipe, 32, Generator().manual_seed(7))

    def error() -> float:
        with torch.inference_mode():
            return float((network(noisy) - clean).square().mean())

    network.eval()
    before = error()
    pretrain(network, images, recipe, tmp_path / "a", fabric=make_fabric("cpu"), save_every=20)
    assert error() < 0.5 * before
    table = (tmp_path / "a.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in table[1:]]
    assert len(losses) == 3
    assert losses[0] > losses[1] > losses[2] > 0
    assert losses[0] == pytest.approx(before, rel=0.5)


def test_what_is_found_is_ready_for_use(tmp_path: Path) -> None:
    found = train(tmp_path)
    assert not any(module.training for module in found.network.modules())
    assert not any(parameter.requires_grad for parameter in found.network.parameters())
    assert found.steps == 6
    assert found.seconds > 0
    assert list(found.validation_psnr) == ["sigma 15", "sigma 30", "sigma 50"]
    assert all(0 < score < 60 for score in found.validation_psnr.values())


def test_the_seed_fixes_the_weights(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for folder in (first, second, third):
        folder.mkdir()
    found = train(first)
    assert_same(train(second).network, found.network)
    other = train(third, recipe=Recipe(patch=12, batch=2, steps=6, rate=FAST_RATE, seed=1))
    assert differs(other.network, found.network)


@pytest.mark.parametrize(("count", "held_out"), [(1, []), (2, [0]), (50, [0]), (52, [0, 50])])
def test_images_held_out_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, held_out: list[int]
) -> None:
    images = [torch.full((1, 12, 12), i / 100) for i in range(count)]
    seen: list[Tensor] = []
    original = training_pair

    def listen(training: list[Tensor], *rest: Any) -> tuple[Tensor, Tensor]:
        seen.extend(training)
        return original(training, *rest)

    monkeypatch.setattr("gaintuning.pretraining.training_pair", listen)
    recipe = Recipe(patch=12, batch=2, steps=1)
    pretrain(tiny_network(), images, recipe, tmp_path / "state.pt", fabric=make_fabric("cpu"))
    trained = {round(float(image.mean() * 100)) for image in seen}
    assert trained == set(range(count)) - set(held_out)


def test_there_have_to_be_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images to train on"):
        pretrain(tiny_network(), [], TINY, tmp_path / "state.pt")


@given(low=st.floats(0, 0.5), width=st.floats(0.01, 0.5), seed=st.integers(0, 2**31))
def test_each_patch_has_a_level_of_noise_from_the_range(
    low: float, width: float, seed: int
) -> None:
    recipe = Recipe(sigma=(low, low + width), patch=24)
    noisy, clean = training_pair(smooth_images(), recipe, 8, Generator().manual_seed(seed))
    assert noisy.shape == clean.shape == (8, 1, 24, 24)
    found = (noisy - clean).flatten(1).std(1)
    # The relative standard error of a standard deviation from n numbers is 1 / sqrt(2 n).
    slack = 5 / (2 * 24**2) ** 0.5
    assert found.min() > low * (1 - slack)
    assert found.max() < (low + width) * (1 + slack)


def test_levels_of_noise_are_drawn_evenly() -> None:
    recipe = Recipe(sigma=(0.2, 0.6), patch=16)
    noisy, clean = training_pair(smooth_images(), recipe, 1000, Generator().manual_seed(0))
    found = (noisy - clean).flatten(1).std(1)
    # A uniform distribution of width w has standard deviation w / sqrt(12) and kurtosis 1.8.
    assert abs(found.mean() - 0.4) < 4 * (0.4 / 12**0.5) / 1000**0.5
    assert found.std() == pytest.approx(0.4 / 12**0.5, rel=0.06)


def test_counts_have_the_clean_patch_as_their_mean_and_levels_from_the_range() -> None:
    recipe = Recipe(counts=(2.0, 50.0), patch=24)
    noisy, clean = training_pair(smooth_images(), recipe, 400, Generator().manual_seed(0))
    relative = (noisy - clean) / clean.clamp(min=1e-6).sqrt()  # of variance 1 / counts
    assert abs(relative.mean()) < 4 * relative.std() / relative.numel() ** 0.5
    found = 1 / relative.flatten(1).var(1)
    slack = 5 * ((2 + 1) / 24**2) ** 0.5  # a count of 1 has a kurtosis of 1 more than the normal
    assert found.min() > 2 * (1 - slack)
    assert found.max() < 50 * (1 + slack)
    # Uniform in the logarithm: the median is the geometric mean of the ends, 10.
    assert float(found.median()) == pytest.approx(10, rel=0.2)


def test_a_network_for_counts_is_validated_with_counts_and_says_so(folder: Path) -> None:
    recipe = replace(TINY, counts=(2.0, 50.0))
    run_command(folder, output="counts.safetensors", recipe=recipe)
    _, card = load_network(folder / "counts.safetensors")
    assert card.sigma is None
    assert card.facts["counts at intensity 1"] == [2.0, 50.0]
    scores = card.facts["validation PSNR in dB, images held out"]
    assert list(scores) == ["2 counts", "10 counts", "50 counts"]
    assert "psnr at 10 counts" in (folder / "counts.csv").read_text()


def test_patches_come_from_the_images_and_the_generator_alone() -> None:
    images = [torch.full((2, 20, 20), value) for value in (0.25, 0.75)]
    recipe = Recipe(patch=30)
    first = training_pair(images, recipe, 16, Generator().manual_seed(0))
    again = training_pair(images, recipe, 16, Generator().manual_seed(0))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(first, again, strict=True))
    clean = first[1]
    assert clean.shape == (16, 2, 20, 20)
    assert set(clean.unique().tolist()) == {0.25, 0.75}


def test_where_to_train() -> None:
    assert make_fabric("cpu").device == torch.device("cpu")
    assert make_fabric("auto").device.type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:99", "meta"):
        with pytest.raises(ValueError, match=f"no device '{name}' here"):
            make_fabric(name)


def test_a_process_is_started_for_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[int] = []
    monkeypatch.setattr(Fabric, "launch", lambda fabric: launched.append(fabric.world_size))
    make_fabric("cpu", devices=2)
    assert launched == [2]


def test_without_lightning_fabric_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.delitem(sys.modules, "gaintuning.pretraining")
    with pytest.raises(ImportError, match=r"pip install 'gaintuning\[train\]'"):
        importlib.import_module("gaintuning.pretraining")


def write_png(path: Path, *shape: int, dtype: str = "uint8") -> None:
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    io.imsave(path, pixels, check_contrast=False)


def test_clean_images_of_any_kind_are_read(tmp_path: Path) -> None:
    write_png(tmp_path / "gray.png", 12, 13)
    write_png(tmp_path / "color.PNG", 14, 15, 3)
    write_png(tmp_path / "clear.png", 14, 15, 4)
    write_png(tmp_path / "deep.tif", 20, 21, dtype="uint16")
    np.save(tmp_path / "stack.npy", np.random.default_rng(0).random((5, 9, 8)))
    (tmp_path / "notes.txt").write_text("not an image")
    images = read_clean_images(tmp_path, color=False)
    shapes = [tuple(image.shape) for image in images]
    assert sorted(shapes) == sorted(
        [(1, 12, 13), (1, 14, 15), (1, 14, 15), (1, 20, 21)] + 5 * [(1, 9, 8)]
    )
    assert all(image.dtype == torch.float32 for image in images)
    gray = next(image for image in images if image.shape == (1, 12, 13))
    expected = torch.from_numpy(io.imread(tmp_path / "gray.png")) / 255
    torch.testing.assert_close(gray[0], expected)


def test_color_images_keep_their_colors_for_a_color_network(tmp_path: Path) -> None:
    write_png(tmp_path / "color.png", 14, 15, 3)
    (image,) = read_clean_images(tmp_path, color=True)
    expected = torch.from_numpy(io.imread(tmp_path / "color.png")).movedim(-1, 0) / 255
    torch.testing.assert_close(image, expected)


def test_a_color_network_needs_color_images(tmp_path: Path) -> None:
    write_png(tmp_path / "gray.png", 12, 13)
    with pytest.raises(ValueError, match=r"gray\.png is gray; a color network needs color"):
        read_clean_images(tmp_path, color=True)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    write_png(tmp_path / "gray.png", 12, 13)
    for path in (tmp_path / "none", tmp_path / "gray.png"):
        with pytest.raises(NotADirectoryError, match=f"{path.name} is no folder"):
            read_clean_images(path, color=False)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds no image") as caught:
        read_clean_images(tmp_path, color=False)
    assert all(suffix in str(caught.value) for suffix in SUFFIXES)


@pytest.mark.parametrize("trouble", ["constant", "damaged", "not finite"])
def test_an_image_that_does_not_do_is_named(tmp_path: Path, trouble: str) -> None:
    write_png(tmp_path / "good.png", 12, 13)
    bad = tmp_path / ("odd.npy" if trouble == "not finite" else "odd.png")
    if trouble == "constant":
        io.imsave(bad, np.zeros((9, 9), np.uint8), check_contrast=False)
    elif trouble == "damaged":
        bad.write_bytes((tmp_path / "good.png").read_bytes()[:60])
    else:
        np.save(bad, np.array([[0.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(ValueError, match=bad.name):
        read_clean_images(tmp_path, color=False)


def run_command(folder: Path, **changed: Any) -> None:
    settings: dict[str, Any] = {
        "residual": True,
        "color": False,
        "recipe": Recipe(patch=12, batch=2, steps=2),
        "start_from": None,
        "device": "cpu",
        "devices": 1,
        "training_set": None,
        "licence": "CC0",
        "force": False,
        "quiet": True,
    }
    architecture = changed.pop("architecture", "unet-bias-free")
    output = folder / changed.pop("output", "net.safetensors")
    pretrain_network(architecture, folder / "clean", output, **(settings | changed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clean").mkdir()
    for name in ("a", "b"):
        write_png(tmp_path / "clean" / f"{name}.png", 16, 17)
    return tmp_path


def test_the_command_writes_a_network_that_says_how_it_was_trained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(folder, quiet=False)
    network, card = load_network(folder / "net.safetensors")
    assert (card.architecture, card.arguments) == (
        "UNet",
        {"channels": 1, "bias": False, "residual": True},
    )
    assert isinstance(network, UNet)
    assert (card.training_set, card.licence) == ("clean, 2 images", "CC0")
    assert card.sigma == pytest.approx((0, 55 / 255))
    assert (card.facts["steps"], card.facts["patch"], card.facts["seed"]) == (2, 12, 0)
    assert (folder / "net.state").is_file()
    told = capsys.readouterr().out
    assert json.loads(told.partition(": ")[2]) == card.facts


def test_the_seed_of_the_command_fixes_the_first_weights_too(folder: Path) -> None:
    def weights(name: str, seed: int) -> nn.Module:
        recipe = Recipe(patch=12, batch=2, steps=1, seed=seed)
        run_command(folder, architecture="bfcnn", residual=False, output=name, recipe=recipe)
        return load_network(folder / name)[0]

    first = weights("a.safetensors", 0)
    assert_same(weights("b.safetensors", 0), first)
    assert differs(weights("c.safetensors", 1), first)


def test_the_command_does_not_pass_an_old_training_off_as_a_new_one(folder: Path) -> None:
    run_command(folder)
    with pytest.raises(FileExistsError, match=r"net\.safetensors exists"):
        run_command(folder)
    run_command(folder, force=True)
    with pytest.raises(ValueError, match=r"net\.state holds 2 steps .* other settings"):
        run_command(folder, force=True, recipe=Recipe(patch=12, batch=2, steps=2, seed=1))
    with pytest.raises(ValueError, match=r"net\.state holds 2 steps .* first weights"):
        run_command(folder, force=True, architecture="blind-spot", residual=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"output": "net.pt"}, r"net\.pt is no \.safetensors file"),
        ({"architecture": "bfcnn"}, r"--residual is for a UNet; bfcnn has only one form"),
        ({"color": True}, r"a color network needs color images"),
        ({"device": "abacus"}, r"no device 'abacus' here"),
        ({"start_from": "none"}, r"there is no network 'none'"),
        ({"start_from": "unet-bias-free", "residual": False}, r"predicts the noise.*add --resid"),
        (
            {"start_from": "unet-bias-free", "architecture": "dncnn", "residual": False},
            r"the weights of unet-bias-free do not fit the DnCNN to train",
        ),
        (
            {"recipe": Recipe(patch=12, supervised=False)},
            r"--unsupervised is for a blind-spot network; unet-bias-free would learn to copy",
        ),
    ],
)
def test_the_command_refuses_before_it_trains(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run_command(folder, **changed)
    assert [path.name for path in folder.iterdir()] == ["clean"]


def test_the_command_needs_a_folder_for_its_output(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder to be in; make .* first"):
        run_command(folder, output="none/net.safetensors")


def test_training_may_start_from_another_network(folder: Path) -> None:
    run_command(folder, output="first.safetensors")
    first = str(folder / "first.safetensors")
    slow = Recipe(patch=12, batch=2, steps=1, rate=RiseAndFall(1e-12))
    run_command(folder, output="second.safetensors", recipe=slow, start_from=first)
    started, _ = load_network(folder / "first.safetensors")
    found, card = load_network(folder / "second.safetensors")
    told = card.facts["started from"]
    assert (told["name"], told["training set"], told["steps"]) == ("first", "clean, 2 images", 2)
    assert told["started from"] == "random weights"
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, started.state_dict()[name], atol=1e-9, rtol=0)


def test_a_network_with_constants_may_start_from_one_without(folder: Path) -> None:
    run_command(folder, output="free.safetensors")
    free, _ = load_network(folder / "free.safetensors")
    card = start_card("unet", residual=True, color=False, recipe=TINY)
    started = start_network(card, seed=1, start_from=str(folder / "free.safetensors"))
    noisy = torch.rand(1, 1, 20, 22, generator=Generator().manual_seed(0))
    torch.testing.assert_close(started(noisy), free(noisy))
    constants = {name for name, _ in started.named_parameters() if name.endswith("bias")}
    assert started.state_dict().keys() - free.state_dict().keys() == constants != set()


def test_what_the_user_gives_goes_before_the_preset() -> None:
    nothing: dict[str, Any] = {"peak": None, "precision": None, "device": "cpu", "steps": None}
    fast = choose_recipe("fast", sigma=(0.0, 0.1), **nothing)
    assert replace(fast, precision="32-true") == Recipe(sigma=(0.0, 0.1))
    published = choose_recipe("published", sigma=(0.0, 0.1), **nothing)
    assert published == replace(PUBLISHED, sigma=(0.0, 0.1))
    mine = choose_recipe(
        "published",
        sigma=(0.0, 0.1),
        peak=3e-4,
        precision="bf16-mixed",
        device="cpu",
        steps=5,
        patch=None,
    )
    assert (mine.steps, mine.patch, mine.precision) == (5, 50, "bf16-mixed")
    assert mine.rate == Halvings(3e-4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dncnn", 668_225),
        ("bfcnn", 667_008),
        ("unet", 233_440),
        ("unet-bias-free", 233_024),
    ],
)
def test_the_architectures_of_the_command_are_the_published_ones(
    name: str, parameters: int
) -> None:
    with torch.random.fork_rng():
        network = build(start_card(name, residual=False, color=False, recipe=TINY))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
