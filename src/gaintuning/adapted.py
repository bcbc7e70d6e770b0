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

from gaintuning._types import Images
from gaintuning.adaptation import Adaptation, Array
from gaintuning.adapting import default_network
from gaintuning.binning import binned, over_bins
from gaintuning.denoising import in_unit
from gaintuning.filling_in import FILLING, fill_in
from gaintuning.gains import frozen_copy, with_gains
from gaintuning.joining import join
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.planes import colors_apart, join_planes, split_planes
from gaintuning.randomness import generator
from gaintuning.scaling import IntensityRange
from gaintuning.stabilizing import stabilized
from gaintuning.tiles import run
from gaintuning.tuning import fuse_to_apply
from gaintuning.unshuffling import ALL, Stride, one_of_each, unshuffle
from gaintuning.validate import image_channels

MODELS = {model.__name__: model for model in (Gaussian, Poisson, PoissonGaussian)}


@dataclass(frozen=True)
class Learned:
    """Of one channel, all that its like is denoised by.

    Parameters
    ----------
    network_sees : the intensities that map to 0 and 1 for the network.
    noise : of a pixel, in the units of the image.
    gains : by the names of their layers; none where the network is used as it is.
    bins : rows and columns of the bins whose means the network sees; 1 if it sees every pixel.
    stabilized : whether it sees shot noise made equally strong everywhere.
    stride : as in `NoiseEstimate`.
    of_the_model : as `NoiseEstimate.is_of_the_model`.
    """

    network_sees: IntensityRange
    noise: Noise
    gains: dict[str, Tensor]
    bins: int = 1
    stabilized: bool = False
    stride: Stride = ALL
    of_the_model: bool = True

    @classmethod
    def of(cls, adaptation: Adaptation) -> "Learned":
        return cls(
            adaptation.network_sees,
            adaptation.noise,
            adaptation.gains if adaptation.accepted else {},
            adaptation.bins,
            adaptation.stabilized,
            adaptation.stride,
            adaptation.noise_is_of_the_model,
        )

    @property
    def noise_in_bins(self) -> Noise:
        """That of the means over bins, as the network sees it."""
        seen = self.noise.rescaled(self.network_sees.low, self.network_sees.high)
        return seen.averaged(self.bins**2)

    def ready(self, pretrained: nn.Module) -> nn.Module:
        """The network for means over bins."""
        tuned = with_gains(pretrained, self.gains) if self.gains else pretrained
        return stabilized(tuned, self.noise_in_bins) if self.stabilized else tuned

    def network(self, pretrained: nn.Module) -> nn.Module:
        """The network for pixels."""
        return over_bins(self.ready(pretrained), self.bins)


class Adapted:
    """A network as it was adapted to an image, for others with the same channels.

    Pixels without the noise of the model are given it, as in that image; see `fill_in`.

    Parameters
    ----------
    pretrained : the network that was adapted; not changed.
    channels : what was learned of each channel along axis C, else of the only one, or of each
        color.

    Examples
    --------
    >>> from gaintuning import Gaussian, denoise, zoo
    >>> from gaintuning.tuning import Schedule
    >>> rng = np.random.default_rng(0)
    >>> frames = rng.normal(np.linspace(50, 200, 64), 20, size=(3, 64, 64))
    >>> first = denoise(
    ...     frames[0],
    ...     network=zoo.DEFAULT,
    ...     noise=Gaussian(20),
    ...     schedule=Schedule(steps=3),
    ...     orientations=False,
    ...     nonlocal_bayes=False,
    ... )
    >>> adapted = Adapted(zoo.load(zoo.DEFAULT)[0], list(map(Learned.of, first.adaptations)))
    >>> bool(np.allclose(adapted(frames[0], "YX"), first.image, atol=0.1))
    True
    >>> adapted(frames[1], "YX").shape
    (64, 64)
    """

    def __init__(self, pretrained: nn.Module, channels: Sequence[Learned]) -> None:
        pretrained = frozen_copy(pretrained)
        self.channels = list(channels)
        self.ready = [lay_out_network(channel.ready(pretrained)) for channel in channels]
        self.networks = [
            over_bins(ready, channel.bins)
            for ready, channel in zip(self.ready, channels, strict=True)
        ]
        self.of_any_noise = default_network(next(pretrained.parameters()).device)
        # Found by trying the network, which need not be done for each frame.
        self.channels_together = cache(partial(image_channels, pretrained))

    def __call__(self, image: Array, axes: str) -> Array:
        """Denoise an image, in its shape, dtype and units."""
        denoised = []
        if "C" not in axes and len(self.channels) > 1:
            axes = colors_apart(axes)
        for index, planes in enumerate(split_planes(image, axes)):
            learned = self.channels[index]
            seen, rng = learned.network_sees, generator(index, FILLING)
            of_the_model = learned.of_the_model
            whole = fill_in(
                planes, learned.noise, self.of_any_noise, rng, of_the_model=of_the_model
            )
            together = self.channels_together(planes.shape[1])
            parts = unshuffle(whole.planes, learned.stride)
            unit = in_unit(parts, seen, together, self.number)
            few = one_of_each(len(planes), learned.stride, len(unit) // len(parts))
            network = self.network_for(index, unit[torch.from_numpy(few)])
            output = run(network, unit, reach_of=self.networks[index])
            joined = join(output, learned.stride, planes.shape, self.of_any_noise)
            denoised.append(whole.as_it_was(seen.from_unit(joined)))
        return join_planes(np.stack(denoised), image, axes)

    @property
    def number(self) -> torch.dtype:
        return next(self.networks[0].parameters()).dtype

    def network_for(self, channel: int, few: Images) -> nn.Module:
        """What denoises the planes of a channel, of which some tell how the network sees them."""
        return self.networks[channel]


class AdaptedFast(Adapted):
    """The same in about half the time, for many images that are alike.

    Convolutions compute in bfloat16 where that is faster, unless the noise is so weak that rounding
    would show.

    Examples
    --------
    >>> from gaintuning import zoo
    >>> noisy = np.random.default_rng(0).normal(np.linspace(0.3, 0.8, 64), 0.1, size=(64, 64))
    >>> learned = Learned(IntensityRange(0, 1), Gaussian(0.1), gains={})
    >>> exact, fast = (
    ...     kind(zoo.load(zoo.DEFAULT)[0], [learned])(noisy, "YX")
    ...     for kind in (Adapted, AdaptedFast)
    ... )
    >>> bool(np.abs(exact - fast).max() < 0.01)
    True
    """

    def __init__(self, pretrained: nn.Module, channels: Sequence[Learned]) -> None:
        super().__init__(pretrained, channels)
        self.fast: dict[int, nn.Module] = {}

    def network_for(self, channel: int, few: Images) -> nn.Module:
        """Made for the first image."""
        if channel not in self.fast:
            learned, ready = self.channels[channel], self.ready[channel]
            means = binned(few, learned.bins).to(next(ready.parameters()))
            fast = fuse_to_apply(ready, means, learned.noise_in_bins)
            self.fast[channel] = over_bins(fast, learned.bins)
        return self.fast[channel]


def write_learned(file: BinaryIO, channels: Sequence[Learned], facts: Any) -> None:
    """Write what was learned, with facts that JSON can hold, as safetensors."""
    told = []
    tensors = {"no gains": torch.zeros(0)}
    for index, learned in enumerate(channels):
        tensors |= {f"{index} {layer}": gain for layer, gain in learned.gains.items()}
        plain = replace(learned, gains={})
        told.append(asdict(plain) | {"model": type(learned.noise).__name__})
    file.write(save(tensors, {"channels": json.dumps(told), "facts": json.dumps(facts)}))


def read_learned(path: Path) -> tuple[list[Learned], Any]:
    """What `write_learned` wrote.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "learned.safetensors"
    >>> with path.open("wb") as file:
    ...     learned = Learned(IntensityRange(0, 255), Gaussian(0.1), {"conv": torch.ones(2)})
    ...     write_learned(file, [learned], "all")
    >>> (learned,), facts = read_learned(path)
    >>> learned.network_sees, learned.noise, learned.gains, facts
    (IntensityRange(low=0, high=255), Gaussian(sigma=0.1), {'conv': tensor([1., 1.])}, 'all')
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
        noise = MODELS[told.pop("model")](**told.pop("noise"))
        seen, stride = IntensityRange(**told.pop("network_sees")), tuple(told.pop("stride"))
        made = {"network_sees": seen, "noise": noise, "gains": gains, "stride": stride}
        channels.append(Learned(**told | made))
    return channels, json.loads(metadata["facts"])
