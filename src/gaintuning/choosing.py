"""Which loss to minimise, and which one to judge by."""

from typing import Literal, TypeAlias, get_args

from torch import nn

from gaintuning._types import Denoiser, Objective
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.objectives import (
    BlindSpot,
    BlindSpotByArchitecture,
    Hudson,
    Neighbor2Neighbor,
    NoiseResampling,
    Recorrupted,
    Thinned,
    Unsure,
)
from gaintuning.unshuffling import ALL, Stride, in_words

ObjectiveName: TypeAlias = Literal[
    "auto", "sure", "unsure", "pure", "blind-spot", "neighbor2neighbor", "noise-resampling"
]


def choose_objective(
    name: str,
    network: nn.Module,
    noise: Noise,
    *,
    blind: bool,
    of_the_model: bool = True,
) -> tuple[str, Objective, Objective]:
    """The name of the loss, the one to minimise and the one to judge by.

    Where the noise is known and the network sees every pixel, the risk itself can be estimated, and
    is the judge of every loss: it is also what "auto" minimises ("sure" for Gaussian noise, "pure"
    for shot noise). Else it is "blind-spot".

    Parameters
    ----------
    name : one of `ObjectiveName`.
    network : the pre-trained network.
    noise : in the units that the network sees.
    blind : whether the network does not see a pixel in its own place.
    of_the_model : whether all of the image has that noise, see `NoiseEstimate`.

    Raises
    ------
    ValueError : no such objective, or none for this noise.

    Examples
    --------
    >>> choose_objective("auto", nn.Conv2d(1, 1, 3), Gaussian(0.1), blind=False)[0]
    'sure'
    """
    gaussian = isinstance(noise, Gaussian)
    if name == "auto":
        name = "blind-spot" if blind or not of_the_model else "sure" if gaussian else "pure"
    risk, judge = estimated_error(noise, network)
    if name == "sure" and not gaussian:
        raise ValueError(
            f"SURE needs Gaussian noise, and the noise is {noise}; use the objective pure, or auto"
        )
    if name == "pure" and gaussian:
        raise ValueError(
            f"PURE needs shot noise, and the noise is {noise}; use the objective sure, or auto"
        )
    hiding = BlindSpotByArchitecture() if blind else BlindSpot()
    if name in ("sure", "pure"):
        return name, risk, judge if of_the_model else hiding
    if name == "unsure" and blind:
        raise ValueError(
            "UNSURE needs a network that sees a pixel in its own place, and this one does not; use "
            "the objective blind-spot, or auto"
        )
    loss: Objective
    if name == "blind-spot":
        loss = hiding
    elif name == "unsure":
        loss = Unsure()
    elif name == "neighbor2neighbor":
        loss = Neighbor2Neighbor()
    elif name == "noise-resampling":
        loss = NoiseResampling(network, noise)
    else:
        raise ValueError(
            f"unknown objective {name!r}; known are {', '.join(get_args(ObjectiveName))}"
        )
    return name, loss, judge if of_the_model and not blind else hiding


def reason_for(objective: str, noise: Noise, *, blind: bool, stride: Stride = ALL) -> str:
    """Why "auto" takes the loss that it takes, or that another was asked for.

    Parameters
    ----------
    objective, noise, blind : as for `choose_objective`.
    stride : pixels lie so many rows and columns apart where the network sees them.

    Examples
    --------
    >>> reason_for("auto", Gaussian(0.1), blind=False)
    'since the noise is Gaussian and independent from pixel to pixel'
    """
    if objective != "auto":
        return "as was asked for"
    if blind:
        return "since the network does not see a pixel in its own place"
    kind = "Gaussian" if isinstance(noise, Gaussian) else "shot noise"
    between = "from pixel to pixel" if stride == ALL else f"between pixels {in_words(stride)} apart"
    return f"since the noise is {kind} and independent {between}"


def error_to_compare_by(noise: Noise, first: Denoiser) -> Recorrupted | Thinned:
    """An estimate of the error to choose the contrast by.

    A recorrupted pair tells the error at noise that is stronger by alpha, and so prefers less
    contrast than is best: with 0.2 by 2 %.

    Parameters
    ----------
    noise, first : as for `estimated_error`.

    Examples
    --------
    >>> error_to_compare_by(Gaussian(0.1), abs)
    Recorrupted(noise=Gaussian(sigma=0.1), alpha=0.2, first=None)
    """
    if isinstance(noise, Gaussian):
        return Recorrupted(noise, alpha=0.2)
    return estimated_error(noise, first)[0]


def estimated_error(
    noise: Noise, first: Denoiser
) -> tuple[Recorrupted | Thinned, Recorrupted | Thinned | Hudson]:
    """An estimate of the error to be minimised, and one to judge by.

    The one has little noise in its gradient, the other no bias. For counts without read noise, and
    for Gaussian noise, one has both.

    Parameters
    ----------
    noise : in the units that the network sees.
    first : a denoiser that tells the intensity on which the strength of the noise depends.

    Examples
    --------
    >>> [type(one).__name__ for one in estimated_error(PoissonGaussian(0.1, 0.1), abs)]
    ['Recorrupted', 'Hudson']
    """
    if isinstance(noise, Poisson):
        return Thinned(noise), Thinned(noise)
    if isinstance(noise, PoissonGaussian):
        return Recorrupted(noise, first=first), Hudson(noise)
    return Recorrupted(noise), Recorrupted(noise)
