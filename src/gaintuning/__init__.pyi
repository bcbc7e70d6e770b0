from . import networks
from .denoising import Denoised, denoise
from .gains import all_parameters, channel_gains, fold, last_layers
from .metrics import psnr, ssim
from .noise import Gaussian, Poisson
from .objectives import BlindSpot, BlindSpotByArchitecture, NoiseResampling, Recorrupted, Sure
from .pretraining import pretrain
from .recipes import Recipe
from .tuning import Risk, Schedule, Tuned, tune

__version__: str

__all__ = [
    "BlindSpot",
    "BlindSpotByArchitecture",
    "Denoised",
    "Gaussian",
    "NoiseResampling",
    "Poisson",
    "Recipe",
    "Recorrupted",
    "Risk",
    "Schedule",
    "Sure",
    "Tuned",
    "all_parameters",
    "channel_gains",
    "denoise",
    "fold",
    "last_layers",
    "networks",
    "pretrain",
    "psnr",
    "ssim",
    "tune",
]
