"""Small files as the programs of electron microscopes write them, for those that nothing writes."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Digital Micrograph's code of a data type: of an array's elements, and of an image
_ELEMENT = {"int16": 2, "uint16": 4, "int32": 3, "uint32": 5, "float32": 6, "uint8": 8}
_OF_IMAGE = {"int16": 1, "uint16": 10, "int32": 7, "uint32": 11, "float32": 2, "uint8": 6}


def digital_micrograph(
    version: int,
    pixels: NDArray[Any],
    scale: float,
    units: str,
    microscope: Mapping[str, float] | None = None,
) -> bytes:
    """DM3 or DM4, as B. Schaffer's page on the format describes it: a tree of tags."""
    word = ">i" if version == 3 else ">q"

    def number(value: int) -> bytes:
        return struct.pack(word, value)

    def tag(kind: int, name: str, content: bytes) -> bytes:
        head = struct.pack(">bh", kind, len(name)) + name.encode()
        return head + (number(len(content)) if version == 4 else b"") + content

    def group(name: str, *tags: bytes) -> bytes:
        if version == 4:  # the length of its content stands between the flags and the count
            content = b"\1\0" + number(0) + number(len(tags)) + b"".join(tags)
            return struct.pack(">bh", 20, len(name)) + name.encode() + content
        return tag(20, name, b"\1\0" + number(len(tags)) + b"".join(tags))

    def data(name: str, info: list[int], content: bytes) -> bytes:
        return tag(21, name, b"%%%%" + b"".join(map(number, [len(info), *info])) + content)

    def integer(name: str, value: int) -> bytes:
        return data(name, [3], struct.pack("<i", value))

    def real(name: str, value: float) -> bytes:
        return data(name, [7], struct.pack("<d", value))

    def text(name: str, value: str) -> bytes:
        return data(name, [20, 4, len(value)], value.encode("utf-16-le"))

    dimensions = [integer("", side) for side in pixels.shape[::-1]]
    steps = [(1.0, "")] * (pixels.ndim - 2) + [(scale, units)] * 2
    calibrations = [
        group("", real("Origin", 0.0), real("Scale", step), text("Units", unit))
        for step, unit in steps[::-1]
    ]
    image = group(
        "ImageData",
        group(
            "Calibrations",
            group("Brightness", real("Origin", 0.0), real("Scale", 1.0), text("Units", "")),
            group("Dimension", *calibrations),
        ),
        data("Data", [20, _ELEMENT[pixels.dtype.name], pixels.size], pixels.tobytes()),
        integer("DataType", _OF_IMAGE[pixels.dtype.name]),
        group("Dimensions", *dimensions),
    )
    info = group(
        "Microscope Info", *(real(name, value) for name, value in (microscope or {}).items())
    )
    root = group("ImageList", group("", image, group("ImageTags", info), text("Name", "image")))
    content = b"\1\0" + number(1) + root
    return struct.pack(">i", version) + number(len(content)) + struct.pack(">i", 1) + content


def tia_series(frames: NDArray[np.uint16], metres: float) -> bytes:
    """SER, as C. Boothroyd's page on the format describes it: images in time, from the last row."""
    count, height, width = frames.shape
    dimension = struct.pack("<IddIII", count, 0.0, 1.0, 0, 0, 0)
    head_length = 2 + 2 + 2 + 4 * 6 + len(dimension)
    elements = [
        struct.pack("<ddIddIHii", 0.0, metres, 0, 0.0, metres, 0, 2, width, height)
        + one[::-1].tobytes()
        for one in frames
    ]
    tag = struct.pack("<HHI", 0x4152, 0, 1_700_000_000)
    start = head_length + 8 * count
    offsets, tags = [], []
    for element in elements:
        offsets.append(start)
        tags.append(start + len(element))
        start += len(element) + len(tag)
    kinds = 0x4949, 0x0197, 0x0210, 0x4122, 0x4152
    head = struct.pack("<HHHIIIIII", *kinds, count, count, head_length, 1)
    table = struct.pack(f"<{2 * count}I", *offsets, *tags)
    return head + dimension + table + b"".join(element + tag for element in elements)


def tia_description(facts: dict[str, tuple[str, str]]) -> bytes:
    """The part of an EMI file that is read: XML among bytes, each fact with its value and unit."""
    told = "".join(
        f"<Data><Label>{label}</Label><Value>{value}</Value><Unit>{unit}</Unit></Data>"
        for label, (value, unit) in {"Mode": ("TEM uP SA Zoom Image", ""), **facts}.items()
    )
    description = f"<ExperimentalDescription><Root>{told}</Root></ExperimentalDescription>"
    acquired = "<AcquireInfo><CameraNamePath>Ceta</CameraNamePath></AcquireInfo>"
    date = "<AcquireDate>Tue Nov 14 22:13:20 2023</AcquireDate>"
    object_info = f"<ObjectInfo>{acquired}{date}{description}</ObjectInfo>"
    return b"JW\0\1" + object_info.encode() + b"\0\0"
