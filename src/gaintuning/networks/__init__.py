"""Denoising networks: plain modules that know nothing of noise, losses or gains."""

from gaintuning.networks.blind_spot import BlindSpotNet
from gaintuning.networks.dncnn import DnCNN
from gaintuning.networks.unet import UNet

__all__ = ["BlindSpotNet", "DnCNN", "UNet"]
