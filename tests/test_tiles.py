"""Tiles give what one pass over the whole image gives, for any network that sees only so far."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from gaintuning.layout import lay_out_images
from gaintuning.networks import BlindSpotNet, DnCNN, UNet
from gaintuning.tiles import WIDEST, Reach, find_reach, run_in_tiles, spans


class Strided(nn.Module):
    """Sees the bins of 4 x 4 pixels beside that of a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.between = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        whole = nn.functional.pad(images, (0, -width % 4, 0, -height % 4))
        bins = self.between(nn.functional.pixel_unshuffle(whole, 4))
        return nn.functional.pixel_shuffle(bins, 4)[..., :height, :width]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Reach]] = {
    # Each 3 x 3 convolution sees one pixel farther.
    "dncnn": (lambda: DnCNN(features=4, depth=5), Reach(radius=5, period=1)),
    "bfcnn": (lambda: DnCNN(features=4, depth=3, bias=False), Reach(radius=3, period=1)),
    # 2 + 1 at full size, 1 + 2 (1 + 2 + 4) + 2 around the half-size part, 1 + 2 at full size again,
    # and one more where the half-size grid falls badly.
    "unet": (UNet, Reach(radius=22, period=2)),
    "blind-spot": (BlindSpotNet, Reach(radius=73, period=4)),
    "dilated": (lambda: nn.Conv2d(1, 1, 3, padding=6, dilation=6), Reach(radius=6, period=1)),
    "strided": (Strided, Reach(radius=4, period=4)),
    "pointwise": (lambda: nn.Conv2d(1, 1, 1), Reach(radius=0, period=1)),
}


def make(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[name][0]().eval()
        for parameter in network.parameters():
            # Away from the first weights of a last layer, which are nearly zero.
            if parameter.dim() == 4:
                nn.init.kaiming_normal_(parameter)
    return network


def image(height: int, width: int) -> Tensor:
    rng = Generator().manual_seed(height * width)
    return torch.rand(1, 1, height, width, generator=rng)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reach_is_found(name: str) -> None:
    assert find_reach(make(name), image(8, 8)) == NETWORKS[name][1]


SIZES = [(56, 56), (61, 63), (70, 22), (55, 91)]
"""By how much an image is larger than a tile."""


@pytest.mark.parametrize("size", SIZES)
# The blind-spot network is a slow one, for large tiles; the strided one has its period.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "blind-spot"])
def test_tiles_give_the_result_of_one_pass(name: str, size: tuple[int, int]) -> None:
    tile = max(40, WIDEST * NETWORKS[name][1].radius)
    network, whole = make(name), image(*(tile + more for more in size))
    with torch.inference_mode():
        expected = network(whole)
    done: list[tuple[int, int]] = []
    found = run_in_tiles(network, whole, lambda *each: done.append(each), tile=40)
    assert len(done) > 1
    # Rounding alone; a misplaced tile is off by as much as the image itself.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * expected.abs().max().item())


@settings(max_examples=200)
@given(
    length=st.integers(1, 300),
    tile=st.integers(1, 80),
    radius=st.integers(0, 40),
    period=st.sampled_from([1, 2, 4, 8]),
)
def test_tiles_cover_an_axis_once_and_see_far_enough(
    length: int, tile: int, radius: int, period: int
) -> None:
    found = list(spans(length, tile, Reach(radius, period)))
    kept = [place for span in found for place in range(span.kept.start, span.kept.stop)]
    assert kept == list(range(length))
    for span in found:
        assert span.seen.start % period == 0
        assert (length - span.seen.stop) % period == 0
        assert span.seen.start <= max(0, span.kept.start - radius)
        assert span.seen.stop >= min(length, span.kept.stop + radius)
        # And not much farther, since that would be work for nothing.
        assert span.kept.start - span.seen.start < radius + period
        assert span.seen.stop - span.kept.stop < radius + period
        assert span.seen.start + span.inner.start == span.kept.start
        assert span.inner.stop - span.inner.start == span.kept.stop - span.kept.start


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.InstanceNorm2d(1)),
        nn.Sequential(
            nn.Conv2d(1, 1, (65, 1), padding=(512, 0), dilation=(16, 1)),
            nn.Conv2d(1, 1, (1, 65), padding=(0, 512), dilation=(1, 16)),
        ),
    ],
    ids=["everywhere", "too far"],
)
def test_a_network_that_sees_everything_gets_the_whole_image(network: nn.Module) -> None:
    assert find_reach(network, image(8, 8)) is None
    whole = image(90, 100)
    with torch.inference_mode():
        assert torch.equal(run_in_tiles(network, whole, tile=20), network(lay_out_images(whole)))


class Recorder(nn.Module):
    """Sees one pixel far, and remembers the shapes that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        return nn.functional.avg_pool2d(images, 3, stride=1, padding=1)


def test_a_small_image_goes_through_at_once() -> None:
    network = Recorder()
    run_in_tiles(network, image(60, 50), tile=64)
    assert network.shapes == [(1, 1, 60, 50)]


def test_where_margins_are_wide_so_are_tiles() -> None:
    network = make("dilated")
    done: list[int] = []
    for side in (48, 60, 160):
        run_in_tiles(network, image(side, side), lambda _, count: done.append(count), tile=8)
    assert done == [1, *4 * [4], *16 * [16]]


def test_no_tile_is_larger_than_it_has_to_be() -> None:
    network = Recorder()
    done: list[tuple[int, int]] = []
    run_in_tiles(network, image(300, 200), lambda *each: done.append(each), tile=50)
    assert [step for step, _ in done] == list(range(1, 25))
    assert max(max(shape[2:]) for shape in network.shapes[-24:]) == 52
