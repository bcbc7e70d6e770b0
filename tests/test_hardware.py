"""What the machine can do."""

import sys

import pytest
import torch

from gaintuning.hardware import freed_memory_kept, has_bfloat16_units


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, True),
        ({"avx512_bf16": True, "sse4a": True}, True),
        ({"avx512_bf16": True, "sse4a": False}, False),
        ({"avx512_f": True, "sse4a": True}, False),
        ({}, False),
    ],
)
def test_bfloat16_is_for_amx_and_for_amd(
    units: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert has_bfloat16_units(torch.device("cpu")) is expected


def faults() -> int:
    """Pages that the system clears for large tensors that are made and freed by turns."""
    resource = pytest.importorskip("resource", reason="this system does not count them")

    def so_far() -> int:
        found: int = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        return found

    torch.ones(2**20)
    before = so_far()
    for _ in range(50):
        torch.ones(2**20)
    return so_far() - before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing changes")
def test_memory_is_kept_until_the_last_keeper_ends_and_the_caller_is_no_slower_then() -> None:
    new_each_time = 50 * 2**22 // 4096
    with freed_memory_kept():
        with freed_memory_kept():
            assert faults() < new_each_time / 10
        assert faults() < new_each_time / 10
    assert faults() < new_each_time / 10
