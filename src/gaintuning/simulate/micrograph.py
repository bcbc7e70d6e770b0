"""Micrographs of a specimen: multislice, the contrast transfer of the microscope, and counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import fft2, fftfreq, ifft2
from scipy.signal import resample

from gaintuning.simulate.nanoparticle import HEIGHT, MISSING, Columns, columns, supported_particle

try:
    import abtem
    from ase import Atoms
except ImportError as error:
    raise ImportError(MISSING) from error

Array = NDArray[np.float64]

Wave: TypeAlias = Any
"""abtem.Waves, or what else its functions are declared to return."""

VACUUM = 0.45
"""Where there is nothing; intensities are in parts of 1 / 0.45 of the beam's."""

SAMPLING = 0.1
"""Of the exit wave, in Å."""

FINEST, COARSEST = 0.045, 0.12
"""Of the pixels, in Å."""

LARGEST = 640
"""Side of an image in pixels, since a specimen is some 46 Å wide."""

EDGE = 4.0
"""In Å: so near to the top and the bottom of the cell, which touch each other, nothing is seen."""


@dataclass(frozen=True)
class Microscope:
    """What makes an image of an exit wave.

    Parameters
    ----------
    voltage : in kV.
    defocus : in Å; above 0 it is underfocus.
    spherical_aberration : in µm.
    focal_spread : in Å, from the spread of the beam's energy.
    angular_spread : of the beam, in mrad.
    aperture : half of its angle, in mrad.
    vibration : of the specimen and the stage, as a standard deviation in Å.
    blur : of the detector: by so much, times the squared frequency in parts of Nyquist's, the
        transfer of contrast falls.
    contrast : the part of the computed contrast that is seen (Stobbs' factor).
    """

    voltage: float = 300.0
    defocus: float = -70.0
    spherical_aberration: float = -13.0
    focal_spread: float = 40.0
    angular_spread: float = 0.2
    aperture: float = 25.0
    vibration: float = 0.3
    blur: float = 0.5
    contrast: float = 0.6

    @classmethod
    def random(cls, rng: Generator) -> "Microscope":
        """One that shows columns bright (below some -60 Å), dark (above -20 Å) or neither."""
        return cls(
            defocus=rng.uniform(-200, 100),
            spherical_aberration=rng.uniform(-25, 5),
            focal_spread=rng.uniform(20, 50),
            angular_spread=rng.uniform(0.05, 0.4),
            aperture=rng.uniform(16, 30),
            vibration=rng.uniform(0.2, 0.5),
            blur=rng.uniform(0.2, 1.5),
            contrast=rng.uniform(0.3, 1.0),
        )


@dataclass(frozen=True)
class Micrograph:
    """A clean image and what it shows.

    Parameters
    ----------
    pixels : (size, size), VACUUM where there is nothing; the vacuum lies above the specimen.
    pixel_size : in Å.
    columns : those of the specimen; x and y are now in pixels, from the middle of the first, and y
        points down.
    """

    pixels: NDArray[np.float32]
    pixel_size: float
    columns: Columns


def exit_wave(atoms: Atoms, voltage: float, lean: tuple[float, float]) -> Wave:
    """The electron wave behind a specimen that leans by so many rad along x and y."""
    leaning = atoms.copy()
    depth = atoms.cell.lengths()[2]
    leaning.positions[:, :2] += np.array(lean) * (leaning.positions[:, 2:] - depth / 2)
    potential = abtem.Potential(leaning, sampling=SAMPLING, slice_thickness=2.0)
    wave: Wave = abtem.PlaneWave(energy=1e3 * voltage).multislice(potential)
    return wave.compute(scheduler="synchronous", progress_bar=False)


def micrographs(count: int, size: int, seed: np.random.SeedSequence) -> Iterator[Micrograph]:
    """Of one random specimen, each taken with another microscope, place and pixel size.

    Raises
    ------
    ValueError : there are no micrographs of that size.

    Examples
    --------
    >>> first, second = micrographs(2, 64, np.random.SeedSequence(0))
    >>> first.pixels.shape, first.pixel_size == second.pixel_size
    ((64, 64), False)
    """
    if not 32 <= size <= LARGEST:
        raise ValueError(f"size must be from 32 to {LARGEST} pixels, got {size}")
    rng = np.random.default_rng(seed)
    atoms = supported_particle(rng)
    found = columns(atoms)
    wave = exit_wave(atoms, Microscope.voltage, (rng.normal(0, 0.015), rng.normal(0, 0.015)))
    for _ in range(count):
        finest, coarsest = FINEST, min(COARSEST, (HEIGHT - 2 * EDGE) / size)
        pixel_size = float(np.exp(rng.uniform(np.log(finest), np.log(coarsest))))
        yield take(wave, found, Microscope.random(rng), size, pixel_size, rng)


def take(
    wave: Wave,
    specimen: Columns,
    microscope: Microscope,
    size: int,
    pixel_size: float,
    rng: Generator,
) -> Micrograph:
    """A micrograph at a random place, somewhere in which is a random one of the columns."""
    width, height = wave.extent
    across, up = round(width / pixel_size), round(height / pixel_size)
    inside = rng.integers(len(specimen.x))
    edge = round(EDGE / pixel_size)
    left = round(specimen.x[inside] / pixel_size - rng.uniform(0, size))
    bottom = round(specimen.y[inside] / pixel_size - rng.uniform(0, size))
    bottom = max(edge, min(bottom, up - edge - size))
    whole = intensity(wave, microscope, (across, up))
    part = np.roll(whole, -left, 0)[:size, bottom : bottom + size]
    column = (specimen.x * across / width - left) % across
    row = size - 1 - (specimen.y * up / height - bottom)
    seen = (column < size) & (row >= 0) & (row < size)
    shown = Columns(
        column[seen],
        row[seen],
        specimen.element[seen],
        specimen.atoms[seen],
        specimen.outside[seen],
    )
    pixels = np.ascontiguousarray(VACUUM * part.T[::-1], np.float32)
    return Micrograph(pixels, height / up, shown)


def counts(micrograph: Micrograph, dose: float, rng: Generator) -> NDArray[np.uint16]:
    """Electrons counted, of `dose` per square Å where there is nothing."""
    expected = micrograph.pixels / VACUUM * dose * micrograph.pixel_size**2
    return rng.poisson(expected.clip(min=0)).clip(max=65535).astype(np.uint16)


def intensity(wave: Wave, microscope: Microscope, shape: tuple[int, int]) -> Array:
    """The image of the whole cell in so many pixels along x and y, 1 where there is nothing."""
    transfer = abtem.CTF(
        energy=1e3 * microscope.voltage,
        semiangle_cutoff=microscope.aperture,
        defocus=microscope.defocus,
        Cs=1e4 * microscope.spherical_aberration,
        focal_spread=microscope.focal_spread,
        angular_spread=microscope.angular_spread,
    )
    seen = wave.apply_ctf(transfer).intensity().array
    # The cell is periodic, and holds no frequencies beyond those of either grid.
    fine = resample(resample(np.asarray(seen, float), shape[0], axis=0), shape[1], axis=1)
    blurred = _blurred(
        fine, microscope, [length / count for length, count in zip(wave.extent, shape, strict=True)]
    )
    return 1 + microscope.contrast * (blurred - 1)


def _blurred(image: Array, microscope: Microscope, pixel_size: Sequence[float]) -> Array:
    """By vibration, and by the detector."""
    x, y = (fftfreq(count, size) for count, size in zip(image.shape, pixel_size, strict=True))
    square = x[:, None] ** 2 + y**2
    of_nyquist = 4 * square * max(pixel_size) ** 2
    transfer = np.exp(-2 * np.pi**2 * microscope.vibration**2 * square)
    transfer /= 1 + microscope.blur * of_nyquist
    blurred: Array = ifft2(transfer * fft2(image)).real
    return blurred
