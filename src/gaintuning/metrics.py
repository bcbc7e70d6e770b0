"""How far a denoised image is from the clean one."""

from math import inf, log10
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

ImageOfAnyKind: TypeAlias = Tensor | NDArray[Any]


def psnr(denoised: ImageOfAnyKind, clean: ImageOfAnyKind, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(data_range^2 / mean squared error).

    Examples
    --------
    >>> import torch
    >>> round(psnr(torch.zeros(4, 4), torch.full((4, 4), 0.1), data_range=1.0), 6)
    20.0
    """
    _check_shapes(denoised, clean)
    error = (_numbers(denoised) - _numbers(clean)).square().mean()
    return float(10 * torch.log10(data_range**2 / error))


def ssim(denoised: ImageOfAnyKind, clean: ImageOfAnyKind, *, data_range: float) -> float:
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
            _numbers(denoised).numpy(),
            _numbers(clean).numpy(),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def unsupervised_mse(denoised: Tensor, others: Tensor) -> float:
    """The mean squared error without the clean image, from other noisy images of the same scene.

    Each of them differs from the denoised image by its error and by noise of its own, and from
    each other by noise alone, so that

        mean((denoised - others)^2) - mean(variance among the others)

    has the error against the clean image as its mean, whatever the noise, if it has a mean of zero
    and was not seen by the denoiser. Of three others it is the uMSE of Marcos-Morales et al. 2023
    (Evaluating unsupervised denoising requires unsupervised metrics, ICML), in the mean over the
    roles that the three can have. It can be below zero.

    Parameters
    ----------
    denoised : (h, w)
    others : (n, h, w), at least two, none of which was denoised.

    Raises
    ------
    ValueError : there are too few of them, or they have another shape.

    Examples
    --------
    >>> import torch
    >>> rng = torch.Generator().manual_seed(0)
    >>> others = torch.randn(3, 200, 200, generator=rng)
    >>> abs(unsupervised_mse(torch.full((200, 200), 0.5), others) - 0.25) < 0.02
    True
    """
    if len(others) < 2:
        raise ValueError(f"at least two other noisy images are needed, got {len(others)}")
    _check_shapes(denoised, others[0])
    noisy = others.detach().double()
    apart = (denoised.detach().double() - noisy).square().mean()
    return float(apart - noisy.var(0).mean())


def unsupervised_psnr(denoised: Tensor, others: Tensor, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB by `unsupervised_mse`; infinite where no error is found.

    Examples
    --------
    >>> import torch
    >>> others = torch.randn(3, 500, 500, generator=torch.Generator().manual_seed(0))
    >>> abs(unsupervised_psnr(torch.ones(500, 500), others, data_range=10.0) - 20) < 0.1
    True
    """
    error = unsupervised_mse(denoised, others)
    return 10 * log10(data_range**2 / error) if error > 0 else inf


def _numbers(image: ImageOfAnyKind) -> Tensor:
    return torch.as_tensor(image).detach().cpu().double()


def _check_shapes(denoised: ImageOfAnyKind, clean: ImageOfAnyKind) -> None:
    if denoised.shape != clean.shape:
        raise ValueError(
            f"the images must have one shape, got {tuple(denoised.shape)} and {tuple(clean.shape)}"
        )
