from . import networks
from .denoising import Denoised, denoise
from .gains import all_parameters, channel_gains, fold, last_layers
from .judging import Risk
from .metrics import psnr, ssim
from .noise import Gaussian, Poisson, PoissonGaussian
from .noise_estimation import NoiseEstimate, estimate_noise
from .objectives import (
    BlindSpot,
    BlindSpotByArchitecture,
    Neighbor2Neighbor,
    NoiseResampling,
    Pure,
    Recorrupted,
    Sure,
    Thinned,
    Unsure,
)
from .pretraining import pretrain
from .recipes import Recipe
from .trust import ErrorEstimate, estimate_error
from .tuning import Schedule, Tuned, tune

__version__: str

__all__ = [
    "BlindSpot",
    "BlindSpotByArchitecture",
    "Denoised",
    "ErrorEstimate",
    "Gaussian",
    "Neighbor2Neighbor",
    "NoiseEstimate",
    "NoiseResampling",
    "Poisson",
    "PoissonGaussian",
    "Pure",
    "Recipe",
    "Recorrupted",
    "Risk",
    "Schedule",
    "Sure",
    "Thinned",
    "Tuned",
    "Unsure",
    "all_parameters",
    "channel_gains",
    "denoise",
    "estimate_error",
    "estimate_noise",
    "fold",
    "last_layers",
    "networks",
    "pretrain",
    "psnr",
    "ssim",
    "tune",
]
