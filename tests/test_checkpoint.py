"""Networks in files: what is saved comes back, and no file harms or surprises."""

import json
import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from skimage import io
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d

from gaintuning.metrics import psnr
from gaintuning.networks.checkpoint import Card, build, load_network, save_network

CARDS = [
    Card("DnCNN", {"channels": 2, "features": 5, "depth": 4, "bias": True}, sigma=(0.0, 0.2)),
    Card("DnCNN", {"features": 5, "depth": 2, "bias": False}, training_set="Köln 1", licence="MIT"),
    Card("UNet", {"residual": True}, source="us", facts={"steps": 7, "psnr": {"sigma 30": 28.5}}),
    Card("BlindSpotNet", {"channels": 3, "bias": False}, sigma=(0.1, 0.1)),
]
SMALL = CARDS[1]


def random_network(card: Card, seed: int = 0) -> nn.Module:
    """Untrained, but with statistics in its batch normalisation as after training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(card)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
    return network.eval().requires_grad_(False)


def saved(folder: Path, card: Card = SMALL) -> Path:
    path = folder / "network.safetensors"
    save_network(random_network(card), card, path)
    return path


def noisy_image(channels: int = 1, side: int = 15) -> Tensor:
    return torch.rand(1, channels, side, side + 1, generator=torch.Generator().manual_seed(1))


def assert_same_state(network: nn.Module, other: nn.Module) -> None:
    state, expected = network.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for name, value in state.items():
        assert value.dtype == expected[name].dtype, name
        assert torch.equal(value, expected[name]), name


def refusal(path: Path) -> str:
    """The one line that tells the user why a file is no network."""
    with pytest.raises(ValueError, match=path.name) as caught:
        load_network(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.architecture)
def test_a_network_and_its_card_come_back_as_they_were(tmp_path: Path, card: Card) -> None:
    network = random_network(card)
    path = tmp_path / "network.safetensors"
    save_network(network, card, path)
    loaded, found = load_network(path)
    assert found == card
    assert type(loaded) is type(network)
    assert_same_state(loaded, network)
    assert list(tmp_path.iterdir()) == [path]


def test_a_loaded_network_is_ready_for_use(tmp_path: Path) -> None:
    network, _ = load_network(saved(tmp_path))
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_precision_of_the_weights_is_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    network = random_network(SMALL).to(dtype)
    save_network(network, SMALL, tmp_path / "network.safetensors")
    assert_same_state(load_network(tmp_path / "network.safetensors")[0], network)


def test_weights_of_16_bits_are_read_as_32(tmp_path: Path) -> None:
    network = random_network(SMALL).half()
    save_network(network, SMALL, tmp_path / "network.safetensors")
    assert_same_state(load_network(tmp_path / "network.safetensors")[0], network.float())


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.architecture)
def test_half_rounds_the_filters_and_nothing_else(tmp_path: Path, card: Card) -> None:
    network, expected = random_network(card), random_network(card)
    path = tmp_path / "network.safetensors"
    save_network(network, card, path, half=True)
    assert_same_state(network, expected)  # what is handed in stays as it was
    loaded, found = load_network(path)
    assert found == card
    rounded = 0
    with torch.no_grad():
        for parameter in expected.parameters():
            if parameter.dim() == 4:
                exact = parameter.clone()
                parameter.copy_(parameter.half())
                rounded += int((parameter != exact).sum())
                # A number in 16 bits has eleven digits, and below 2^-14 steps of 2^-24.
                bound = (exact.abs() * 2.0**-11).clamp(min=2.0**-25)
                assert ((parameter - exact).abs() <= bound).all()
    assert rounded > 0  # the test has power
    assert_same_state(loaded, expected)
    assert all(value.dtype != torch.float16 for value in loaded.state_dict().values())


def test_half_takes_half_the_room(tmp_path: Path) -> None:
    card = Card("UNet", {"bias": False})
    network = random_network(card)
    save_network(network, card, tmp_path / "whole.safetensors")
    save_network(network, card, tmp_path / "half.safetensors", half=True)
    whole, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half"))
    filters = sum(parameter.numel() for parameter in network.parameters())
    # But for the header, whose offsets have fewer digits.
    assert whole - half == pytest.approx(2 * filters, abs=200)
    assert 0.5 < half / whole < 0.51


def test_half_of_what_is_half_changes_nothing(tmp_path: Path) -> None:
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    save_network(random_network(CARDS[0]), CARDS[0], once, half=True)
    save_network(*load_network(once), twice, half=True)
    assert once.read_bytes() == twice.read_bytes()


def test_a_network_in_half_computes_almost_the_same(tmp_path: Path) -> None:
    card = Card("UNet", {"bias": False})
    network = random_network(card)
    path = tmp_path / "network.safetensors"
    save_network(network, card, path, half=True)
    images = noisy_image(side=16)
    exact, found = network(images), load_network(path)[0](images)
    # Each of the nine layers errs by at most 2^-11 of what it sums up; signs differ, so less.
    assert 0 < (found - exact).norm() < 9 * 2.0**-11 * exact.norm()


def test_half_of_a_network_in_64_bits_can_be_used(tmp_path: Path) -> None:
    network = random_network(CARDS[0]).double()
    path = tmp_path / "network.safetensors"
    save_network(network, CARDS[0], path, half=True)
    loaded, _ = load_network(path)
    assert loaded(noisy_image(channels=2)).dtype == torch.float32


@pytest.mark.parametrize("number", [65_520.0, -1e6])
def test_half_refuses_filters_that_would_become_infinite(tmp_path: Path, number: float) -> None:
    network = random_network(SMALL)
    next(network.parameters()).view(-1)[3] = number
    with pytest.raises(ValueError, match="half"):
        save_network(network, SMALL, tmp_path / "network.safetensors", half=True)
    assert list(tmp_path.iterdir()) == []
    save_network(network, SMALL, tmp_path / "network.safetensors")


def test_weights_that_are_not_contiguous_are_saved_too(tmp_path: Path) -> None:
    network = random_network(SMALL)
    expected = random_network(SMALL)
    network.to(memory_format=torch.channels_last)
    save_network(network, SMALL, tmp_path / "network.safetensors")
    assert_same_state(load_network(tmp_path / "network.safetensors")[0], expected)


def test_a_loaded_network_does_not_change_with_its_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    network, _ = load_network(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert_same_state(network, random_network(SMALL))


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save_network(random_network(SMALL, seed=1), SMALL, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path / "none.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=path.name):
            load_network(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ""])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"a few words\n",
        b'{"a": 1}',
        bytes(5000),
        b"PK\x03\x04" + bytes(100),
        b"\x80\x02",
    ],
)
def test_a_file_that_is_no_network(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def published_file(path: Path, state: Any, **arguments: Any) -> Path:
    """A checkpoint in the form of the published ones."""
    torch.save({"model": [state], "args": Namespace(**arguments), "epoch": 49}, path)
    return path


def good_files(folder: Path) -> list[Path]:
    old = folder / "old.pt"
    state = random_network(SMALL).state_dict()
    torch.save({"model": [state]}, old, _use_new_zipfile_serialization=False)
    return [saved(folder), published_file(folder / "new.pt", state), old]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 2), share=st.floats(0, 0.999))
def test_a_file_that_is_cut_short(tmp_path: Path, which: int, share: float) -> None:
    path = good_files(tmp_path)[which]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 2), share=st.floats(0, 0.999), flipped=st.integers(1, 255))
def test_a_file_with_a_wrong_byte_is_refused_or_read(
    tmp_path: Path, which: int, share: float, flipped: int
) -> None:
    path = good_files(tmp_path)[which]
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= flipped
    path.write_bytes(content)
    try:
        network, _ = load_network(path)
    except ValueError:
        refusal(path)
    else:
        assert network(noisy_image()).shape == noisy_image().shape


def with_card(folder: Path, text: str | None) -> Path:
    path = folder / "network.safetensors"
    metadata = None if text is None else {"card": text}
    save_file(random_network(SMALL).state_dict(), path, metadata)
    return path


def test_a_file_without_a_card(tmp_path: Path) -> None:
    message = refusal(with_card(tmp_path, None))
    assert "no card" in message
    assert "save_network" in message


@pytest.mark.parametrize(
    "text",
    ["", "DnCNN", "[]", "{}", '{"architecture": "DnCNN"}', '{"sigma": 3, "architecture": "DnCNN"}',
     '{"sigma": null, "architecture": "DnCNN", "colour": 1}'],
)  # fmt: skip
def test_a_card_that_is_none(tmp_path: Path, text: str) -> None:
    assert "the card in" in refusal(with_card(tmp_path, text))


def test_an_unknown_architecture_is_told_with_the_known_ones(tmp_path: Path) -> None:
    message = refusal(with_card(tmp_path, json.dumps({"architecture": "SwinIR", "sigma": None})))
    for name in ("SwinIR", "DnCNN", "UNet", "BlindSpotNet"):
        assert name in message


@pytest.mark.parametrize(
    "arguments",
    [{"depth": 1}, {"features": "many"}, {"width": 3}, {"features": -1}, {"channels": None}],
)
def test_arguments_that_build_nothing(tmp_path: Path, arguments: dict[str, Any]) -> None:
    card = {"architecture": "DnCNN", "arguments": arguments, "sigma": None}
    assert "no network that can be built" in refusal(with_card(tmp_path, json.dumps(card)))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("DnCNN", {"features": 6, "depth": 2, "bias": False}),
        ("DnCNN", {"features": 5, "depth": 3, "bias": False}),
        ("DnCNN", {"features": 5, "depth": 2, "bias": True}),
        ("DnCNN", {}),
        ("UNet", {}),
    ],
)
def test_weights_that_do_not_fit_the_card(
    tmp_path: Path, architecture: str, arguments: dict[str, Any]
) -> None:
    card = {"architecture": architecture, "arguments": arguments, "sigma": None}
    assert "do not fit" in refusal(with_card(tmp_path, json.dumps(card)))


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        # A call that pickle makes, though not of the declared kind: what makes it a bomb.
        return Path.mkdir, (self.folder,)  # type: ignore[return-value]


@pytest.mark.parametrize("place", ["whole", "model", "args", "in args"])
@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_code_in_a_file_is_not_executed(tmp_path: Path, place: str, form: str) -> None:
    made = tmp_path / "made"
    bomb: Any = Bomb(made)
    state = random_network(SMALL).state_dict()
    content = {
        "whole": bomb,
        "model": {"model": [bomb]},
        "args": {"model": [state], "args": bomb},
        "in args": {"model": [state], "args": Namespace(min_noise=bomb)},
    }[place]
    path = tmp_path / "bomb.pt"
    if form == "plain":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    message = refusal(path)
    assert not made.exists()
    assert "could run its code" in message
    assert "safetensors" in message
    # The test has power: an unguarded reader does run it.
    if form == "plain":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert made.is_dir()


Layer = Callable[..., Tensor]


def published_dncnn(state: dict[str, Tensor], noisy: Tensor) -> Tensor:
    """What the authors' DnCNN and BFCNN compute."""

    def layer(name: str, features: Tensor) -> Tensor:
        return conv2d(features, state[f"{name}.weight"], state.get(f"{name}.bias"), padding=1)

    biased = "last_layer.bias" in state
    features = layer("first_layer", noisy).relu()
    for index in range(sum(name.endswith("running_var") for name in state)):
        features = layer(f"hidden_layer_list.{index}", features)
        normal = {
            part: state[f"bn_layer_list.{index}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        }
        if biased:
            features = batch_norm(features, *normal.values())
        else:
            scale = normal["weight"] / (normal["running_var"].sqrt() + 1e-5)
            features = features * scale[:, None, None]
        features = features.relu()
    return noisy - layer("last_layer", features)


def published_unet(state: dict[str, Tensor], noisy: Tensor) -> Tensor:
    """What the authors' UNet computes, of an image with even sides."""

    def layer(number: int, features: Tensor, call: Layer = conv2d, **how: int) -> Tensor:
        name = f"conv{number}"
        return call(features, state[f"{name}.weight"], state.get(f"{name}.bias"), **how)

    skip = layer(2, layer(1, noisy, padding=2).relu(), padding=1).relu()
    features = layer(3, skip, stride=2, padding=1).relu()
    features = layer(4, features, padding=1).relu()
    features = layer(5, features, padding=2, dilation=2).relu()
    features = layer(6, features, padding=4, dilation=4).relu()
    features = layer(7, features, conv_transpose2d, stride=2, padding=1).relu()
    features = layer(8, torch.cat([features, skip], 1), padding=1).relu()
    return layer(9, features, padding=2)


PUBLISHED = [
    Card("DnCNN", {"channels": 1, "features": 5, "depth": 6, "bias": True}),
    Card("DnCNN", {"channels": 3, "features": 6, "depth": 5, "bias": False}),
    Card("DnCNN", {"channels": 1, "features": 5, "depth": 2, "bias": True}),
    Card("UNet", {"channels": 1, "bias": True, "residual": False}),
    Card("UNet", {"channels": 3, "bias": False, "residual": False}),
]


@pytest.mark.parametrize("card", PUBLISHED)
def test_a_published_checkpoint_computes_what_it_did_for_its_authors(
    tmp_path: Path, card: Card
) -> None:
    state = random_network(card).double().state_dict()
    path = published_file(tmp_path / "0-55.pt", state, min_noise=0, max_noise=55, dataset="bsd400")
    network, found = load_network(path)
    assert (found.architecture, found.arguments) == (card.architecture, card.arguments)
    assert (found.training_set, found.sigma) == ("BSD400", (0.0, 55 / 255))
    noisy = noisy_image(card.arguments["channels"], side=15)[..., :14, :].double()
    reference = published_unet if card.architecture == "UNet" else published_dncnn
    torch.testing.assert_close(network(noisy), reference(state, noisy))


@pytest.mark.parametrize(
    ("told", "sigma"),
    [
        ({"min_noise": 0, "max_noise": 55}, (0.0, 55 / 255)),
        ({"min_noise": 55, "max_noise": 0}, (0.0, 55 / 255)),
        ({"max_noise": 30.0, "min_noise": 30}, (30 / 255, 30 / 255)),
        ({"min_noise": "10", "max_noise": "100"}, (10 / 255, 100 / 255)),
        ({"min_noise": 0, "max_noise": 0}, None),
        ({"lr": 1e-3}, None),
    ],
)
def test_the_range_of_noise_is_read_in_any_order(
    tmp_path: Path, told: dict[str, Any], sigma: tuple[float, float] | None
) -> None:
    state = random_network(SMALL).state_dict()
    assert load_network(published_file(tmp_path / "a.pt", state, **told))[1].sigma == sigma


def test_a_published_checkpoint_may_tell_nothing_of_its_training(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": [random_network(SMALL).state_dict()]}, path)
    card = load_network(path)[1]
    assert (card.training_set, card.sigma) == ("UNKNOWN", None)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"weights": 3},
        {"model": 3},
        {"model": []},
        {"model": [{}]},
        {"model": [{"conv1.weight": 3}]},
        {"model": [{"conv1.weight": torch.zeros(3)}]},
        {"model": [{"first_layer.weight": torch.zeros(3)}]},
        {"first_layer.weight": torch.zeros(3)},
    ],
)
def test_other_things_in_a_pt_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    assert "none of the published checkpoints" in refusal(path)


def test_a_published_checkpoint_whose_noise_is_no_number(tmp_path: Path) -> None:
    state = random_network(SMALL).state_dict()
    path = published_file(tmp_path / "a.pt", state, min_noise="low", max_noise=None)
    assert "none of the published checkpoints" in refusal(path)


def test_a_published_checkpoint_that_lacks_a_layer(tmp_path: Path) -> None:
    state = random_network(PUBLISHED[-1]).state_dict()
    del state["conv5.weight"]
    assert "do not fit the UNet" in refusal(published_file(tmp_path / "a.pt", state))


@pytest.mark.parametrize(
    ("name", "architecture", "bias", "parameters", "highest"),
    [
        ("dncnn/bias/0-55", "DnCNN", True, 668_225, 55),
        ("dncnn/bias/0-100", "DnCNN", True, 668_225, 100),
        ("dncnn/bias_free/0-55", "DnCNN", False, 667_008, 55),
        ("unet/bias/0-55", "UNet", True, 233_440, 55),
        ("unet/bias_free/0-55", "UNet", False, 233_024, 55),
    ],
)
def test_the_published_checkpoints_denoise(
    published: Callable[[str], Path],
    name: str,
    architecture: str,
    bias: bool,
    parameters: int,
    highest: int,
) -> None:
    network, card = load_network(published(f"checkpoints/{name}.pt"))
    assert (card.architecture, card.arguments["bias"]) == (architecture, bias)
    assert card.sigma == (0.0, highest / 255)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    clean = torch.from_numpy(io.imread(published("data/set12/01.png")) / 255).float()
    clean = clean[None, None, 64:192, :128]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        denoised = network(clean + 30 / 255 * noise).clamp(0, 1)
    assert psnr(denoised, clean, data_range=1.0) > 28
