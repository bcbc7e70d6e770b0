"""The networks of Mohan et al. 2020, fetched when they are asked for."""

from pathlib import Path

import pooch
from requests import exceptions

ADDRESS = (
    "https://raw.githubusercontent.com/LabForComputationalVision/bias_free_denoising/"
    "e78e54e32a4cb773ee2aa811e98f2ced6126a3ee/pretrained/"
)
"""The first author's public repository (MIT licence)."""

FILES = {
    "published/bfcnn": (
        "dncnn/bias_free/0-55.pt",
        "f1338cbbeea8c34c56cda1076f1516ac0ba5831118786f6226c748af6cd31efa",
    ),
    "published/dncnn": (
        "dncnn/bias/0-55.pt",
        "6af6c965e9cdbdb34f04bb399ec454411db33ba8ea445abcb5e16e1008805969",
    ),
    "published/dncnn-all-levels": (
        "dncnn/bias/0-100.pt",
        "5d49e828a52a61b746ad2c1d77deac3bdf867afd4d73a15297fa9dca8d5b16e5",
    ),
    "published/unet": (
        "unet/bias/0-55.pt",
        "ba1bb76b1abeb8decc56e6e682b58a4e6badaf998b450360e1e2680470e802dc",
    ),
    "published/unet-bias-free": (
        "unet/bias_free/0-55.pt",
        "a73a66ed6b63ae4787be986ad3964a17daf35aaa92eee89e9dbb7a70cfaab67a",
    ),
}
"""For each name the path in the repository and the SHA-256 of the file."""


def fetch(name: str) -> Path:
    """The file of a published network, from the cache or else from its repository.

    Raises
    ------
    OSError : it is not in the cache and could not be fetched; the cache is as it was.
    """
    path, sha256 = FILES[name]
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        found = pooch.retrieve(
            ADDRESS + path,
            known_hash=sha256,
            fname=name.replace("/", "-") + ".pt",
            path=pooch.os_cache("gaintuning"),
            downloader=pooch.HTTPDownloader(timeout=30),
        )
    except (OSError, ValueError) as error:
        raise OSError(
            f"{name} could not be fetched: {_reason(error)}; try again, or get {ADDRESS + path} "
            "yourself and give the path of the file"
        ) from error
    finally:
        logger.setLevel(level)
    return Path(found)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the download broke off"
    if isinstance(error, exceptions.RequestException):
        return "the server cannot be reached"
    if isinstance(error, OSError):
        # pooch wraps a refusal in an error of its own.
        first = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return f"{first.strerror or first} in the cache {pooch.os_cache('gaintuning')}"
    return "what came is not the published file, since its hash differs"
