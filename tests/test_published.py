"""The published networks: how they are fetched, and what they score where they are at hand."""

import errno
import hashlib
import io
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pooch
import pytest
import torch
from torch import Tensor

from gaintuning import published as networks
from gaintuning import zoo
from gaintuning.denoising import run
from gaintuning.files import read_image
from gaintuning.gains import frozen_copy
from gaintuning.layout import lay_out_network
from gaintuning.metrics import psnr
from gaintuning.networks import DnCNN
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.objectives import Sure
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


NAME = "published/bfcnn"


class Repository(BaseHTTPRequestHandler):
    """Serves one file at every address; what it does wrong is set on the class by a test."""

    content: ClassVar[bytes] = b""
    status: ClassVar[int] = 200
    share: ClassVar[float] = 1.0
    asked_for: ClassVar[list[str]] = []

    def do_GET(self) -> None:  # noqa: N802
        self.asked_for.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: int(self.share * len(self.content))])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    with torch.random.fork_rng():
        network = DnCNN(features=2, depth=3, bias=False)
    file = io.BytesIO()
    torch.save({"model": [network.state_dict()]}, file)
    return file.getvalue()


@pytest.fixture
def repository(
    checkpoint: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[Repository]]:
    """A server that has the file, and a list of hashes with that of the file."""
    for name, value in {"content": checkpoint, "status": 200, "share": 1.0, "asked_for": []}.items():
        monkeypatch.setattr(Repository, name, value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sha256 = hashlib.sha256(checkpoint).hexdigest()
    monkeypatch.setitem(networks.FILES, NAME, ("dncnn/bias_free/0-55.pt", sha256))
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        monkeypatch.setattr(networks, "ADDRESS", f"http://127.0.0.1:{server.server_port}/files/")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Repository
        server.shutdown()
        thread.join()


def refusal(cache: Path) -> str:
    """The sentence that tells why the network could not be fetched; the cache holds no file."""
    with pytest.raises(OSError, match=NAME) as caught:
        zoo.load(NAME)
    message = str(caught.value)
    assert "\n" not in message
    assert message.count(NAME) == 1
    address = networks.ADDRESS + networks.FILES[NAME][0]
    cure = f"; try again, or get {address} yourself and give the path of the file"
    start = f"{NAME} could not be fetched: "
    assert message.startswith(start)
    assert message.endswith(cure)
    reason = message[len(start) : -len(cure)]
    # A few words, and none of those in which Python and its libraries speak.
    assert len(reason.replace(str(cache), "")) < 80
    assert not re.search(r"Errno|Error|HTTP|Pool|[<>()\[\]]", reason.replace(str(cache), ""))
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    return reason


def test_a_network_is_fetched_once(repository: type[Repository], cache: Path) -> None:
    first, card = zoo.load(NAME)
    assert card.arguments == {"channels": 1, "features": 2, "depth": 3, "bias": False}
    assert repository.asked_for == ["/files/dncnn/bias_free/0-55.pt"]
    (kept,) = [path for path in cache.rglob("*") if path.is_file()]
    assert kept.read_bytes() == repository.content
    second, _ = zoo.load(NAME)
    assert len(repository.asked_for) == 1
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_what_was_fetched_needs_no_server(
    repository: type[Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = networks.fetch(NAME)
    with closed_port() as port:
        monkeypatch.setattr(networks, "ADDRESS", f"http://127.0.0.1:{port}/")
        assert networks.fetch(NAME) == path
    assert path.read_bytes() == repository.content


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(
    repository: type[Repository],
) -> None:
    path = networks.fetch(NAME)
    path.write_bytes(b"damaged")
    assert networks.fetch(NAME) == path
    assert path.read_bytes() == repository.content
    assert len(repository.asked_for) == 2


def test_nothing_is_printed(
    repository: type[Repository], capfd: pytest.CaptureFixture[str]
) -> None:
    networks.fetch(NAME)
    assert repository.asked_for
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("status", [200, 404])
def test_the_log_of_pooch_is_as_loud_as_before(
    repository: type[Repository], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(repository, "status", status)
    logger = pooch.get_logger()
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    try:
        networks.fetch(NAME)
    except OSError:
        assert status == 404
    assert logger.level == logging.DEBUG


def test_a_file_with_another_hash_is_refused(
    repository: type[Repository], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = repository.content
    monkeypatch.setattr(repository, "content", content[:-1] + bytes([content[-1] ^ 1]))
    assert "its hash differs" in refusal(cache)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_download_that_breaks_off(
    repository: type[Repository], cache: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(repository, "share", share)
    assert refusal(cache) == "the download broke off"
    monkeypatch.undo()


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_does_not_give_the_file(
    repository: type[Repository], cache: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(repository, "status", status)
    assert refusal(cache) == f"the server answered {status}"
