"""Topaz-Denoise (Bepler et al. 2020), by the authors' package."""

from importlib import import_module
from importlib.resources import files

import torch
from torch import nn

from gaintuning._types import Images
from gaintuning.tiles import run

WEIGHTS = "pretrained/denoise/unet_L2_v0.2.2.sav"
"""Of the network that the package takes by default."""


def denoise_topaz(noisy: Images) -> Images:
    """A UNet that learned from pairs of noisy halves of cryo-EM movies (Noise2Noise).

    It knows images of mean 0 and standard deviation 1, noise included.

    Parameters
    ----------
    noisy : (n, 1, h, w), of any level and contrast.

    Raises
    ------
    ImportError : the package is not installed.

    References
    ----------
    Bepler, Kelley, Noble & Berger, Topaz-Denoise: general deep denoising models for cryoEM and
    cryoET, Nature Communications 2020.
    """
    mean, width = noisy.mean((-2, -1), keepdim=True), noisy.std((-2, -1), keepdim=True)
    # An image all of one intensity is denoised already.
    seen = (noisy - mean) / width.clamp(min=torch.finfo(noisy.dtype).tiny)
    denoised = torch.from_numpy(run(_load(), seen)).to(noisy)
    return denoised * width + mean


def _load() -> nn.Module:
    try:
        models = import_module("topaz.denoising.models")
    except ImportError as error:
        raise ImportError(
            "Topaz-Denoise needs the package topaz-em, whose licence is the GPL; install it with "
            "pip install 'gaintuning[topaz]', or leave the method out"
        ) from error
    network: nn.Module = models.UDenoiseNet(base_width=11, top_width=5)
    with files("topaz").joinpath(WEIGHTS).open("rb") as file:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()
