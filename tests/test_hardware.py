"""What the machine can do."""

import pytest
import torch

from gaintuning.hardware import has_bfloat16_units


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
