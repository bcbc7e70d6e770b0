"""What all tests share."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# The same examples in every run, and no complaint about a slow machine.
settings.register_profile("gaintuning", derandomize=True, deadline=None)
settings.load_profile("gaintuning")


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """Find a published checkpoint or a test image, or skip the test.

    They do not belong to the project. GAINTUNING_SHARED names the folder that holds them, with
    `checkpoints/` and `data/` in it; by default it is `shared` beside the repository.
    """
    shared = Path(os.environ.get("GAINTUNING_SHARED") or ROOT.parent / "shared")

    def find(name: str) -> Path:
        path = shared / name
        if not path.exists():
            pytest.skip(f"needs {name}, which is not on this machine (see GAINTUNING_SHARED)")
        return path

    return find


@pytest.fixture(autouse=True)
def _global_state_is_untouched() -> Iterator[None]:
    """Nothing that a test calls may change torch's settings or draw from its global generator.

    A test that builds an untrained network does draw from it, for the first weights: it does so
    within `torch.random.fork_rng()`.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    generator = torch.get_rng_state()
    yield
    assert torch.get_default_dtype() == dtype
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator), "torch's global generator was used"
