"""Simulated pages are text on paper, each of them another, and the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import ImageFont
from typer.testing import CliRunner

from gaintuning.cli import app
from gaintuning.simulate.documents import FONTS, documents
from gaintuning.simulate.prose import SENTENCES


def test_a_seed_gives_the_same_pages_and_fewer_are_the_first_ones() -> None:
    pages = documents(3, 96, seed=5)
    assert torch.equal(documents(2, 96, seed=5), pages[:2])
    assert not torch.equal(documents(3, 96, seed=6), pages)
    assert len({page.sum().item() for page in pages}) == 3


def test_pages_are_gray_levels_with_dark_ink_on_light_paper() -> None:
    pages = 255 * documents(12, 160, seed=0)
    assert torch.equal(pages, pages.round())
    assert pages.min() >= 0
    assert pages.max() <= 255
    for page in pages:
        dark = (page < 0.7 * page.quantile(0.95)).float().mean()
        assert 0.05 < dark < 0.5
        assert page.quantile(0.95) > 1.5 * page.quantile(0.02)


def test_every_font_is_there_and_has_every_letter() -> None:
    letters = set("".join(SENTENCES)) - {" "}
    for name in FONTS:
        path = Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
        font = ImageFont.truetype(path, 20)
        missing = bytes(font.getmask("\uffff"))
        assert all(bytes(font.getmask(letter)) != missing for letter in letters), name


@pytest.mark.parametrize("wrong", [(0, 96, 0), (1, 63, 0), (1, 96, -1)])
def test_what_makes_no_page_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        documents(*wrong)


def test_the_command_writes_pages(tmp_path: Path) -> None:
    arguments = ["simulate", "documents", "-o", str(tmp_path / "pages"), "--count", "2"]
    result = CliRunner().invoke(app, [*arguments, "--size", "64"])
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["0.png", "1.png"]
    assert np.isfinite(documents(1, 64, 0).numpy()).all()
