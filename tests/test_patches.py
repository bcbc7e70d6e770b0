"""Crops are parts of the images, drawn evenly; orientations are the eight of a square."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from gaintuning.patches import (
    chess_board,
    detailed_crops,
    random_crops,
    random_orientations,
)

sides = st.tuples(st.integers(1, 12), st.integers(1, 12))


def numbered(shapes: list[tuple[int, int]], channels: int = 1) -> list[Tensor]:
    """Images of which no two pixels are equal."""
    images, start = [], 0
    for height, width in shapes:
        count = channels * height * width
        pixels = torch.arange(start, start + count, dtype=torch.float64)
        images.append(pixels.reshape(channels, height, width))
        start += count
    return images


def is_part_of(crop: Tensor, image: Tensor) -> bool:
    places = (image[0] == crop[0, 0, 0]).nonzero()
    if not len(places):
        return False
    top, left = places[0].tolist()
    height, width = crop.shape[-2:]
    return torch.equal(crop, image[:, top : top + height, left : left + width])


@given(
    shapes=st.lists(sides, min_size=1, max_size=4),
    channels=st.integers(1, 3),
    size=st.integers(1, 15),
    count=st.integers(1, 6),
    seed=st.integers(0, 2**31),
)
def test_crops_are_parts_of_the_images_and_as_large_as_these_allow(
    shapes: list[tuple[int, int]], channels: int, size: int, count: int, seed: int
) -> None:
    images = numbered(shapes, channels)
    crops = random_crops(images, size, count, Generator().manual_seed(seed))
    side = min(size, *(min(shape) for shape in shapes))
    assert crops.shape == (count, channels, side, side)
    assert all(any(is_part_of(crop, image) for image in images) for crop in crops)
    again = random_crops(images, size, count, Generator().manual_seed(seed))
    assert torch.equal(crops, again)


def test_a_batch_of_images_does_as_well_as_a_list() -> None:
    batch = torch.rand(3, 2, 9, 8, generator=Generator().manual_seed(0))
    first = random_crops(batch, 5, 7, Generator().manual_seed(1))
    assert torch.equal(first, random_crops(list(batch), 5, 7, Generator().manual_seed(1)))
    assert not torch.equal(first, random_crops(batch, 5, 7, Generator().manual_seed(2)))


def assert_all_alike(drawn: list[float], kinds: int) -> None:
    """Each of the kinds was drawn, and none more often than chance would have it."""
    counts = torch.tensor([drawn.count(kind) for kind in set(drawn)]).double()
    assert len(counts) == kinds
    expected = len(drawn) / kinds
    standard_error = (expected * (1 - 1 / kinds)) ** 0.5
    assert (counts - expected).abs().max() < 4.5 * standard_error


def test_every_place_is_drawn_alike() -> None:
    images = numbered([(5, 6), (5, 6)])
    crops = random_crops(images, 4, 3000, Generator().manual_seed(0))
    assert_all_alike(crops[:, 0, 0, 0].tolist(), kinds=2 * 2 * 3)


def test_an_image_of_the_size_of_a_crop_is_drawn_whole() -> None:
    (image,) = numbered([(7, 7)])
    assert torch.equal(random_crops([image], 7, 1, Generator())[0], image)


def test_crops_do_not_share_memory_with_the_images() -> None:
    images = numbered([(6, 6)])
    before = images[0].clone()
    random_crops(images, 4, 2, Generator().manual_seed(0)).zero_()
    assert torch.equal(images[0], before)


def all_orientations(square: Tensor) -> list[Tensor]:
    turned = [torch.rot90(square, turns, (-2, -1)) for turns in range(4)]
    return turned + [each.mT for each in turned]


def test_orientations_are_the_eight_of_a_square_and_drawn_alike() -> None:
    (square,) = numbered([(3, 3)], channels=2)
    eight = all_orientations(square)
    drawn = random_orientations(square.expand(2000, 2, 3, 3), Generator().manual_seed(0))
    which = [
        next(float(i) for i, known in enumerate(eight) if torch.equal(known, each))
        for each in drawn
    ]
    assert_all_alike(which, kinds=8)


@given(seed=st.integers(0, 2**31), side=st.integers(1, 5))
def test_each_square_keeps_its_place_in_the_batch(seed: int, side: int) -> None:
    squares = torch.stack(numbered([(side, side)] * 4))
    turned = random_orientations(squares, Generator().manual_seed(seed))
    assert turned.shape == squares.shape
    for square, each in zip(squares, turned, strict=True):
        assert any(torch.equal(each, known) for known in all_orientations(square))
    assert torch.equal(turned, random_orientations(squares, Generator().manual_seed(seed)))


@pytest.mark.parametrize("images", [[], torch.zeros(0, 1, 5, 5)])
def test_no_images_give_no_crops(images: list[Tensor] | Tensor) -> None:
    with pytest.raises(ValueError, match="empty"):
        random_crops(images, 4, 1, Generator())


def test_every_window_comes_once_before_any_comes_again() -> None:
    image = torch.arange(512.0 * 700).reshape(1, 1, 512, 700)
    black, white = chess_board(image, 256**2)
    assert len(black.places) == len(white.places) == 3
    parts = black.draw(256**2, Generator().manual_seed(0))
    corners = [[float(next(parts)[0, 0, 0, 0]) for _ in range(3)] for _ in range(5)]
    first = corners[0]
    assert len(set(first)) == 3
    assert all(set(each) == set(first) for each in corners)
    assert any(each != first for each in corners)


def test_small_windows_come_several_at_a_time() -> None:
    images = torch.rand(4, 1, 64, 64, generator=Generator().manual_seed(0))
    black, _ = chess_board(images, 256**2)
    assert next(black.draw(4 * 32**2, Generator().manual_seed(0))).shape == (4, 1, 32, 32)


@given(
    height=st.integers(2, 90),
    width=st.integers(2, 90),
    planes=st.integers(1, 4),
    pixels=st.integers(64, 4000),
)
def test_black_and_white_windows_share_nothing_and_miss_hardly_anything(
    height: int, width: int, planes: int, pixels: int
) -> None:
    images = torch.arange(float(planes * height * width)).reshape(planes, 1, height, width)
    halves = chess_board(images, pixels)
    masks = torch.stack([half.mask() for half in halves]).float()
    assert masks.sum(0).max() == 1
    # What is left over at the lower and right edge is less than one pixel a window.
    side = pixels**0.5
    rows, columns = (max(2, -int(-length // side)) for length in (height, width))
    missed = (masks.sum(0) == 0).sum()
    assert missed < planes * (rows * width + columns * height)
    for half, mask in zip(halves, masks, strict=True):
        assert half.height * half.width <= pixels
        drawn = half.draw(height * width * planes, Generator().manual_seed(0))
        seen = torch.zeros(images.numel(), dtype=torch.bool)
        for _ in range(len(half.places)):
            seen[next(drawn).flatten().long()] = True
        assert torch.equal(seen, mask.flatten() > 0)
    black, white = (len(half.places) for half in halves)
    assert abs(black - white) <= 1


def test_detailed_crops_cover_an_image_that_they_need_not_choose_from() -> None:
    image = torch.arange(70 * 90.0).reshape(1, 1, 70, 90)
    crops = detailed_crops(image, size=40, count=10)
    assert crops.shape == (6, 1, 40, 40)
    assert set(crops.flatten().tolist()) == set(image.flatten().tolist())


def test_the_most_detailed_crops_come_first_in_spite_of_noise() -> None:
    rng = torch.Generator().manual_seed(0)
    images = 0.5 * torch.randn(2, 1, 128, 128, generator=rng)
    images[1, :, 70:110, 10:50] += torch.linspace(-2, 2, 40)
    (crop,) = detailed_crops(images, size=64, count=1)
    assert torch.equal(crop, images[1, :, 64:, :64])
