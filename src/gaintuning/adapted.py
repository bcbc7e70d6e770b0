"""What was learned of an image, ready for others like it, such as the frames of a movie."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gaintuning.adaptation import Adaptation, Array
from gaintuning.binning import over_bins
from gaintuning.denoising import in_unit, run
from gaintuning.gains import with_gains
from gaintuning.layout import lay_out_network
from gaintuning.noise import Poisson, PoissonGaussian
from gaintuning.planes import join_planes, split_planes
from gaintuning.scaling import IntensityRange
from gaintuning.stabilizing import ShotNoise, Stabilized
from gaintuning.validate import image_channels


@dataclass(frozen=True)
class Learned:
    """Of one channel, all that its like is denoised by.

    Parameters
    ----------
    network_sees : the intensities that map to 0 and 1 for the network.
    gains : by the names of their layers; none where the network is used as it is.
    bins : rows and columns of the bins whose means the network sees; 1 if it sees every pixel.
    stabilized : the shot noise that is made equally strong everywhere, as the network sees it.
    """

    network_sees: IntensityRange
    gains: dict[str, Tensor]
    bins: int = 1
    stabilized: ShotNoise | None = None

    @classmethod
    def of(cls, adaptation: Adaptation) -> "Learned":
        noise, gains = adaptation.noise_in_bins, adaptation.gains if adaptation.accepted else {}
        learned = cls(adaptation.network_sees, gains, adaptation.bins)
        if adaptation.stabilized and isinstance(noise, (Poisson, PoissonGaussian)):
            return replace(learned, stabilized=noise)
        return learned

    def network(self, pretrained: nn.Module) -> nn.Module:
        tuned = with_gains(pretrained, self.gains) if self.gains else pretrained
        ready = Stabilized(tuned, self.stabilized) if self.stabilized else tuned
        return over_bins(ready, self.bins)


class Adapted:
    """A network as it was adapted to an image, for others with the same channels.

    Parameters
    ----------
    pretrained : the network that was adapted.
    channels : what was learned of each channel along axis C, else of the only one.

    Examples
    --------
    >>> from gaintuning import Gaussian, denoise, zoo
    >>> from gaintuning.tuning import Schedule
    >>> rng = np.random.default_rng(0)
    >>> frames = rng.normal(np.linspace(50, 200, 64), 20, size=(3, 64, 64))
    >>> first = denoise(
    ...     frames[0], noise=Gaussian(20), schedule=Schedule(steps=3), orientations=False
    ... )
    >>> adapted = Adapted(zoo.load(zoo.DEFAULT)[0], list(map(Learned.of, first.adaptations)))
    >>> bool(np.allclose(adapted(frames[0], "YX"), first.image, atol=0.1))
    True
    >>> adapted(frames[1], "YX").shape
    (64, 64)
    """

    def __init__(self, pretrained: nn.Module, channels: Sequence[Learned]) -> None:
        self.channels = channels
        self.networks = [lay_out_network(channel.network(pretrained)) for channel in channels]
        # Found by trying the network, which need not be done for each frame.
        self.channels_together = cache(partial(image_channels, pretrained))

    def __call__(self, image: Array, axes: str) -> Array:
        """Denoise an image, in its shape, dtype and units."""
        split = split_planes(image, axes)
        denoised = []
        for planes, learned, network in zip(split, self.channels, self.networks, strict=True):
            number = next(network.parameters()).dtype
            together = self.channels_together(planes.shape[1])
            output = run(network, in_unit(planes, learned.network_sees, together, number))
            denoised.append(learned.network_sees.from_unit(output).reshape(planes.shape))
        return join_planes(np.stack(denoised), image, axes)


def write_learned(file: BinaryIO, channels: Sequence[Learned], facts: Any) -> None:
    """Write what was learned, with facts that JSON can hold, as safetensors."""
    told = []
    tensors = {"no gains": torch.zeros(0)}
    for index, learned in enumerate(channels):
        tensors |= {f"{index} {layer}": gain for layer, gain in learned.gains.items()}
        noise = asdict(learned.stabilized) if learned.stabilized else None
        seen = asdict(learned.network_sees)
        told.append({"range": seen, "bins": learned.bins, "stabilized": noise})
    file.write(save(tensors, {"channels": json.dumps(told), "facts": json.dumps(facts)}))


def read_learned(path: Path) -> tuple[list[Learned], Any]:
    """What `write_learned` wrote.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "learned.safetensors"
    >>> with path.open("wb") as file:
    ...     write_learned(file, [Learned(IntensityRange(0, 255), {"conv": torch.ones(2)})], "all")
    >>> (learned,), facts = read_learned(path)
    >>> learned.network_sees, learned.gains, facts
    (IntensityRange(low=0, high=255), {'conv': tensor([1., 1.])}, 'all')
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    channels = []
    for index, told in enumerate(json.loads(metadata["channels"])):
        mark = f"{index} "
        gains = {
            name.removeprefix(mark): gain for name, gain in tensors.items() if name.startswith(mark)
        }
        noise = _shot_noise(told["stabilized"])
        channels.append(Learned(IntensityRange(**told["range"]), gains, told["bins"], noise))
    return channels, json.loads(metadata["facts"])


def _shot_noise(numbers: dict[str, float] | None) -> ShotNoise | None:
    if numbers is None:
        return None
    return PoissonGaussian(**numbers) if "sigma" in numbers else Poisson(**numbers)
