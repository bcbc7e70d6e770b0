"""What the machine can do."""

import torch


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether convolutions are much faster in bfloat16, as on CPUs with AMX and newer GPUs.

    Examples
    --------
    >>> has_bfloat16_units(torch.device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))
