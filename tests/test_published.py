"""How the published networks are fetched."""

import errno
import gc
import hashlib
import io
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

import pooch
import pytest
import torch

from gaintuning import published as catalogue
from gaintuning import zoo
from gaintuning.networks import DnCNN
from gaintuning.networks.checkpoint import load_network

Published = Callable[[str], Path]
NAME = "published/bfcnn"

# pooch leaves the connection of a failed download to the garbage collector, and Python warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class Repository(BaseHTTPRequestHandler):
    """Serves one file at every address; what it does wrong is set on the class by a test."""

    content: ClassVar[bytes] = b""
    status: ClassVar[int] = 200
    share: ClassVar[float] = 1.0
    hangs_until: ClassVar[Event] = Event()
    asked_for: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked_for.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: int(self.share * len(self.content))])
        self.hangs_until.wait(10)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
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
def repository(checkpoint: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Repository]]:
    """A server that has the file, and a list of hashes with that of the file."""
    monkeypatch.setattr(Repository, "content", checkpoint)
    monkeypatch.setattr(Repository, "asked_for", [])
    Repository.hangs_until.set()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sha256 = hashlib.sha256(checkpoint).hexdigest()
    monkeypatch.setitem(catalogue.FILES, NAME, ("dncnn/bias_free/0-55.pt", sha256))
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        monkeypatch.setattr(catalogue, "ADDRESS", f"http://127.0.0.1:{server.server_port}/files/")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Repository
        Repository.hangs_until.set()
        server.shutdown()
        thread.join()
    gc.collect()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken, but where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def refusal(cache: Path) -> str:
    """The sentence that tells why the network could not be fetched; the cache holds no file."""
    with pytest.raises(OSError, match=NAME) as caught:
        zoo.load(NAME)
    message = str(caught.value)
    assert "\n" not in message
    assert message.count(NAME) == 1
    address = catalogue.ADDRESS + catalogue.FILES[NAME][0]
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
    path = catalogue.fetch(NAME)
    with closed_port() as port:
        monkeypatch.setattr(catalogue, "ADDRESS", f"http://127.0.0.1:{port}/")
        assert catalogue.fetch(NAME) == path
    assert path.read_bytes() == repository.content


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(
    repository: type[Repository],
) -> None:
    path = catalogue.fetch(NAME)
    path.write_bytes(b"damaged")
    assert catalogue.fetch(NAME) == path
    assert path.read_bytes() == repository.content
    assert len(repository.asked_for) == 2


def test_nothing_is_printed(
    repository: type[Repository], capfd: pytest.CaptureFixture[str]
) -> None:
    catalogue.fetch(NAME)
    assert repository.asked_for
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("status", [200, 404])
def test_the_log_of_pooch_is_as_loud_as_before(
    repository: type[Repository], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(repository, "status", status)
    monkeypatch.setattr(pooch.get_logger(), "level", logging.ERROR)
    with suppress(OSError):
        catalogue.fetch(NAME)
    assert repository.asked_for
    assert pooch.get_logger().level == logging.ERROR


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


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_does_not_give_the_file(
    repository: type[Repository], cache: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(repository, "status", status)
    assert refusal(cache) == f"the server answered {status}"


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_server_that_hangs(
    repository: type[Repository], cache: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    downloader = pooch.HTTPDownloader

    def impatient(*, timeout: float) -> pooch.HTTPDownloader:
        assert 5 <= timeout <= 60  # seconds
        return downloader(timeout=timeout / 100)

    monkeypatch.setattr(pooch, "HTTPDownloader", impatient)
    monkeypatch.setattr(repository, "share", share)
    repository.hangs_until.clear()
    assert "server" in refusal(cache)


def test_no_server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with closed_port() as port:
        monkeypatch.setattr(catalogue, "ADDRESS", f"http://127.0.0.1:{port}/")
        assert refusal(cache) == "the server cannot be reached"


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("no_proxy", "*")
    assert refusal(cache) == "the server cannot be reached"


def fail_to_write(place: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what pooch does in the cache fail, at one of the places where it may."""

    class Broken(io.FileIO):
        def write(self, *_: Any) -> int:
            raise error

    def fail(*_: Any, **__: Any) -> None:
        raise error

    if place == "make the folder":
        monkeypatch.setattr(os, "makedirs", fail)
    elif place == "make a file":
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", fail)
    else:
        monkeypatch.setattr("pooch.downloaders.open", Broken, raising=False)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("place", ["make the folder", "make a file", "write"])
def test_a_cache_that_takes_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    if place == "make a file":
        (cache / "gaintuning").mkdir(parents=True)
    fail_to_write(place, OSError(number, os.strerror(number), "/a/file"), monkeypatch)
    assert refusal(cache) == f"{os.strerror(number)} in the cache {cache / 'gaintuning'}"


@pytest.mark.usefixtures("repository")
def test_an_interruption_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_write("write", KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        catalogue.fetch(NAME)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("where", [".", "gaintuning"])
def test_a_file_in_the_place_of_the_cache(cache: Path, where: str) -> None:
    # Nobody can write into it, not even an administrator.
    taken = cache / where
    taken.parent.mkdir(exist_ok=True)
    taken.write_text("precious")
    with pytest.raises(OSError, match=f"^{NAME} could not be fetched: .* in the cache {cache}"):
        catalogue.fetch(NAME)
    assert taken.read_text() == "precious"
    assert [path for path in cache.rglob("*") if path.is_file()] in ([], [taken])


def test_the_cache_is_where_the_system_has_it(
    repository: type[Repository], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "os_cache", pooch.utils.os_cache)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "own" / name))
    assert catalogue.fetch(NAME).parent == tmp_path / "own" / "gaintuning"
    assert repository.asked_for


def test_there_are_five() -> None:
    assert len(catalogue.FILES) == 5
    paths, hashes = zip(*catalogue.FILES.values(), strict=True)
    assert len(set(paths)) == len(set(hashes)) == 5
    for name, (path, sha256) in catalogue.FILES.items():
        assert re.fullmatch(r"published/[a-z-]+", name)
        assert re.fullmatch(r"[a-z_]+/bias(_free)?/0-\d+\.pt", path)
        assert re.fullmatch(r"[0-9a-f]{64}", sha256)
    assert not set(catalogue.FILES) & set(zoo.names())


def test_the_address_is_one_commit_of_the_repository() -> None:
    assert re.fullmatch(
        r"https://raw\.githubusercontent\.com/[\w-]+/\w+/[0-9a-f]{40}/pretrained/",
        catalogue.ADDRESS,
    )


def test_an_unknown_name_is_told_with_those_that_can_be_fetched() -> None:
    with pytest.raises(ValueError, match="no network 'published/resnet'") as caught:
        zoo.load("published/resnet")
    assert all(name in str(caught.value) for name in catalogue.FILES)


@pytest.mark.parametrize("name", catalogue.FILES)
def test_the_hashes_are_those_of_the_published_files(published: Published, name: str) -> None:
    path, sha256 = catalogue.FILES[name]
    content = published(f"checkpoints/{path}").read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256


@pytest.mark.parametrize("name", catalogue.FILES)
def test_the_names_tell_what_is_in_the_files(published: Published, name: str) -> None:
    card = load_network(published(f"checkpoints/{catalogue.FILES[name][0]}"))[1]
    assert card.architecture == ("UNet" if "unet" in name else "DnCNN")
    assert card.arguments["bias"] == (name not in ("published/bfcnn", "published/unet-bias-free"))
    assert card.sigma == (0, (100 if "all-levels" in name else 55) / 255)
    assert card.licence == "MIT"
