"""How far a denoised image is from the clean one."""

import torch
from skimage.metrics import structural_similarity
from torch import Tensor


def psnr(denoised: Tensor, clean: Tensor, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(data_range^2 / mean squared error).

    Examples
    --------
    >>> import torch
    >>> round(psnr(torch.zeros(4, 4), torch.full((4, 4), 0.1), data_range=1.0), 6)
    20.0
    """
    _check_shapes(denoised, clean)
    error = (denoised.detach().double() - clean.detach().double()).square().mean()
    return float(10 * torch.log10(data_range**2 / error))


def ssim(denoised: Tensor, clean: Tensor, *, data_range: float) -> float:
    """Structural similarity (Wang et al. 2004) of two (h, w) images, Gaussian window of 1.5 pixels.

    Examples
    --------
    >>> import torch
    >>> image = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    >>> ssim(image, image, data_range=1.0)
    1.0
    """
    _check_shapes(denoised, clean)
    return float(
        structural_similarity(
            denoised.detach().cpu().double().numpy(),
            clean.detach().cpu().double().numpy(),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _check_shapes(denoised: Tensor, clean: Tensor) -> None:
    if denoised.shape != clean.shape:
        raise ValueError(
            f"the images must have one shape, got {tuple(denoised.shape)} and {tuple(clean.shape)}"
        )
