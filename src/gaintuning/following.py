"""A movie whose frames differ: each is learned from, beginning with what the last one taught."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from gaintuning._types import Images
from gaintuning.adapted import Adapted, Learned
from gaintuning.binning import binned
from gaintuning.choosing import ObjectiveName, choose_objective
from gaintuning.gains import channel_gains, frozen_copy
from gaintuning.judging import mean_loss, pixel_losses
from gaintuning.layout import lay_out_network
from gaintuning.randomness import generator
from gaintuning.stabilizing import of_inner_network
from gaintuning.tuning import Schedule, fuse_for, tune
from gaintuning.validate import check_blind


class Following(Adapted):
    """A network that goes on learning from image to image.

    Noise, range and bins stay what they were. Where the last gains are worse for an image than
    none, as after a cut, it is begun anew from the pre-trained network.

    Parameters
    ----------
    pretrained : the network that was adapted; not changed.
    channels : what was learned of each channel so far.
    objective : the loss to minimise, as for `denoise`.
    seed, first : of the random numbers, and the number of the first image; an image has the same
        ones whatever came before.

    Examples
    --------
    >>> import numpy as np
    >>> from gaintuning import Gaussian, denoise, zoo
    >>> rng = np.random.default_rng(0)
    >>> frames = rng.normal(np.linspace(50, 200, 64), 20, size=(3, 64, 64))
    >>> brief = Schedule(steps=3)
    >>> first = denoise(frames[0], noise=Gaussian(20), schedule=brief, orientations=False)
    >>> network = zoo.load(zoo.DEFAULT)[0]
    >>> learned = [Learned.of(found) for found in first.adaptations]
    >>> following = Following(network, learned, objective="auto", schedule=brief)
    >>> following(frames[1], "YX").shape
    (64, 64)
    """

    def __init__(
        self,
        pretrained: nn.Module,
        channels: Sequence[Learned],
        *,
        objective: ObjectiveName,
        schedule: Schedule | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        super().__init__(pretrained, channels)
        self.pretrained = lay_out_network(frozen_copy(pretrained))
        self.objective = objective
        self.schedule = schedule
        self.seed = seed
        self.next = first

    def network_for(self, channel: int, few: Images) -> nn.Module:
        learned = self.channels[channel]
        if not learned.of_the_model and self.objective == "auto":
            return super().network_for(channel, few)
        means = binned(few, learned.bins).to(next(self.pretrained.parameters()).device)
        anew = replace(learned, gains={})
        starts = [lay_out_network(each.ready(self.pretrained)) for each in (learned, anew)]
        blind = check_blind(self.pretrained, few.shape[1])
        _, loss, judge = choose_objective(
            self.objective,
            starts[1],
            learned.noise_in_bins,
            blind=blind,
            of_the_model=learned.of_the_model,
        )
        risks = [
            mean_loss(pixel_losses(fuse_for(channel_gains(each), means), means, judge, seed=0))
            for each in starts
        ]
        if risks[1] < risks[0]:
            learned, starts = anew, starts[1:]
        rng = generator(self.seed, self.next, channel)
        tuned = tune(starts[0], means, loss, judge=judge, schedule=self.schedule, rng=rng)
        if tuned.accepted:
            gains = of_inner_network(tuned.gains, stabilized=learned.stabilized)
            in_all = {
                layer: gain.cpu() * learned.gains.get(layer, 1.0) for layer, gain in gains.items()
            }
            learned = replace(learned, gains=in_all)
        self.channels[channel] = learned
        if channel == len(self.channels) - 1:
            self.next += 1
        return lay_out_network(learned.network(self.pretrained))
