"""Tiles give what one pass over the whole image gives, for any network that sees only so far."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from gaintuning.networks import BlindSpotNet, DnCNN, UNet
from gaintuning.tiles import Reach, find_reach, run_in_tiles, spans

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Reach]] = {
    # Each 3 x 3 convolution sees one pixel farther.
    "dncnn": (lambda: DnCNN(features=4, depth=5), Reach(radius=5, period=1)),
    "bfcnn": (lambda: DnCNN(features=4, depth=3, bias=False), Reach(radius=3, period=1)),
    # 2 + 1 at full size, 1 + 2 (1 + 2 + 4) + 2 around the half-size part, 1 + 2 at full size again,
    # and one more where the half-size grid falls badly.
    "unet": (UNet, Reach(radius=22, period=2)),
    "blind-spot": (BlindSpotNet, Reach(radius=73, period=4)),
    "dilated": (lambda: nn.Conv2d(1, 1, 3, padding=6, dilation=6), Reach(radius=6, period=1)),
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


SIZES = [(96, 96), (101, 103), (110, 62), (95, 131)]


@pytest.mark.parametrize(
    ("name", "size"),
    # The blind-spot network is a slow one; odd sizes try it most.
    [(name, size) for name in NETWORKS for size in SIZES if name != "blind-spot"]
    + [("blind-spot", (81, 103))],
)
def test_tiles_give_the_result_of_one_pass(name: str, size: tuple[int, int]) -> None:
    network, whole = make(name), image(*size)
    with torch.inference_mode():
        expected = network(whole)
    found = run_in_tiles(network, whole, tile=40)
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
        nn.Sequential(*(nn.Conv2d(1, 1, 9, padding=32, dilation=8) for _ in range(16))),
    ],
    ids=["everywhere", "too far"],
)
def test_a_network_that_sees_everything_gets_the_whole_image(network: nn.Module) -> None:
    assert find_reach(network, image(8, 8)) is None
    whole = image(90, 100)
    with torch.inference_mode():
        assert torch.equal(run_in_tiles(network, whole, tile=20), network(whole))


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


def test_no_tile_is_larger_than_it_has_to_be() -> None:
    network = Recorder()
    done: list[tuple[int, int]] = []
    run_in_tiles(network, image(300, 200), lambda *each: done.append(each), tile=50)
    assert [step for step, _ in done] == list(range(1, 25))
    assert max(max(shape[2:]) for shape in network.shapes[-24:]) == 52
