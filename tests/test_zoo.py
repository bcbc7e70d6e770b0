"""Networks by name."""

from pathlib import Path

import pytest
import torch

from gaintuning import zoo
from gaintuning.network_commands import COUNTS
from gaintuning.networks import DnCNN
from gaintuning.networks.checkpoint import Card, load_network, save_network


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose weights are those of two tiny networks."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for name, features in [("wide", 6), ("narrow", 2)]:
        with torch.random.fork_rng():
            network = DnCNN(features=features, depth=2)
        card = Card("DnCNN", {"features": features, "depth": 2}, training_set=name)
        save_network(network, card, weights / f"{name}.safetensors")
    (weights / "README.md").write_text("where they come from")
    monkeypatch.setattr(zoo, "files", lambda package: {"gaintuning": tmp_path}[package])
    return weights


@pytest.mark.usefixtures("board")
def test_the_names_are_those_of_the_files_on_board() -> None:
    assert zoo.names() == ["narrow", "wide"]


def test_without_weights_there_are_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "files", lambda _: tmp_path)
    assert zoo.names() == []
    with pytest.raises(ValueError, match="no network 'narrow'; on board: none"):
        zoo.load("narrow")


def test_a_network_is_loaded_by_its_name(board: Path) -> None:
    network, card = zoo.load("narrow")
    assert card.training_set == "narrow"
    assert not network.training
    expected, _ = load_network(board / "narrow.safetensors")
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name])


@pytest.mark.parametrize("kind", [str, Path])
def test_a_network_is_loaded_by_its_path(
    board: Path, tmp_path: Path, kind: type[str | Path]
) -> None:
    mine = tmp_path / "mine.safetensors"
    (board / "wide.safetensors").rename(mine)
    assert zoo.load(kind(mine))[1].training_set == "wide"


@pytest.mark.usefixtures("board")
def test_a_published_checkpoint_may_have_any_name(tmp_path: Path) -> None:
    network, _ = zoo.load("narrow")
    torch.save({"model": [network.state_dict()]}, tmp_path / "0-55")
    assert zoo.load(tmp_path / "0-55")[1].arguments["features"] == 2


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize("name", ["narow", "", "NARROW", ".", "narrow.onnx", "no/such/narrow"])
def test_an_unknown_name_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="on board: narrow, wide") as caught:
        zoo.load(name)
    assert repr(name) in str(caught.value)


@pytest.mark.usefixtures("board")
def test_a_file_that_is_not_there() -> None:
    for name in ("narrow2.pt", "narrow2.safetensors"):
        with pytest.raises(FileNotFoundError, match=name):
            zoo.load(name)


@pytest.mark.usefixtures("board")
def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no network")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        zoo.load(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", zoo.names())
def test_each_network_on_board_denoises_and_says_where_it_comes_from(name: str) -> None:
    network, card = zoo.load(name)
    assert "unknown" not in (card.training_set, card.licence, card.source)
    low, high = card.sigma or card.facts[COUNTS]
    assert 0 <= low < high < (1 if card.sigma else 10_000)
    sigma = high / 2 if card.sigma else 0.2
    line = torch.linspace(0, 6, 64)
    clean = (0.5 + 0.3 * torch.sin(line[:, None]) * torch.cos(line))[None, None]
    clean = clean.repeat(1, card.arguments.get("channels", 1), 1, 1)
    noisy = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    error = (network(noisy) - clean).square().mean()
    assert error < 0.1 * (noisy - clean).square().mean()


def test_the_default_is_on_board() -> None:
    assert zoo.DEFAULT in zoo.names()
    assert zoo.load(zoo.DEFAULT)[1].architecture == "UNet"
