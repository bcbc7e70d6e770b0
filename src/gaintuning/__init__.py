"""Adaptive denoising via GainTuning: a pre-trained network, tuned to one noisy image.

The public names are listed in `__init__.pyi`. Each is imported when it is first used, so that
`import gaintuning` takes no time.
"""

from importlib import import_module

import lazy_loader

_public_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("gaintuning")
    return _public_name(name)
