"""How a micrograph was taken, as text that every format has a place for."""

import math
import re
from collections.abc import Mapping
from typing import TypeAlias

Acquisition: TypeAlias = Mapping[str, tuple[float, str]]
"""By name, a value with its unit: dose in e/Å² and exposure in s (for each plane), interval in s
(from one plane to the next), voltage in kV."""

NAMES = ("dose", "exposure", "interval", "voltage", "magnification")

_LINE = re.compile(rf"({'|'.join(NAMES)}): (\S+) ?(.*)")
_ASCII = {"Å": "A", "²": "^2", "×": "x"}


def to_text(acquisition: Acquisition) -> str:
    """A line each, in ASCII.

    Examples
    --------
    >>> to_text({"dose": (30.0, "e/Å²"), "exposure": (0.025, "s")})
    'dose: 30.0 e/A^2\\nexposure: 0.025 s'
    """
    text = "\n".join(f"{name}: {value!r} {unit}" for name, (value, unit) in acquisition.items())
    for symbol, ascii_symbol in _ASCII.items():
        text = text.replace(symbol, ascii_symbol)
    return text


def from_text(text: str) -> dict[str, tuple[float, str]]:
    """What `to_text` wrote; lines of others are passed over.

    Examples
    --------
    >>> from_text("ImageJ=1.54f\\ndose: 30.0 e/A^2")
    {'dose': (30.0, 'e/Å²')}
    """
    found = {}
    for line in text.splitlines():
        if not (match := _LINE.fullmatch(line.strip())):
            continue
        name, value, unit = match.groups()
        for symbol, ascii_symbol in _ASCII.items():
            unit = unit.replace(ascii_symbol, symbol)
        found[name] = (value, unit)
    return known(found)


def known(values: Mapping[str, tuple[object, str]]) -> dict[str, tuple[float, str]]:
    """Those of the values that are numbers above 0; instruments write 0 for what they do not know.

    Examples
    --------
    >>> known({"voltage": (300, "kV"), "dose": (0, "e/Å²"), "exposure": (None, "s")})
    {'voltage': (300.0, 'kV')}
    """
    found = {}
    for name, (value, unit) in values.items():
        try:
            number = float(str(value))
        except ValueError:
            continue
        if 0 < number < math.inf:
            found[name] = (number, unit)
    return found
