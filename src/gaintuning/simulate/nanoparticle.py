"""Platinum particles on ceria, atom by atom, with an electron beam along [1-10] of both."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MISSING = (
    "simulated micrographs need ase and abtem, which are not installed: "
    "pip install 'gaintuning[sim]'"
)

try:
    from ase import Atoms
    from ase.data import chemical_symbols
    from ase.spacegroup import crystal
except ImportError as error:
    raise ImportError(MISSING) from error

Array = NDArray[np.float64]

CERIA, PLATINUM = 5.411, 3.924
"""Lattice constants in Å, of CeO2 (fluorite) and of Pt (fcc)."""

SURFACES = {
    (1, 1, 1): ((1, 1, -2), 1.5**0.5),
    (0, 0, 1): ((1, 1, 0), 0.5**0.5),
    (1, 1, 0): ((0, 0, 1), 1.0),
}
"""Planes along the beam: a direction in each, and after how many lattice constants it repeats."""

FACETS = [
    *((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)),
    *((-1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)),
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)),
]

WIDTH, HEIGHT = 46.0, 48.0
"""Of the cell in Å; the width is rounded to whole periods of the support."""

SURFACE = 20.0
"""Height of the support's highest cerium above the bottom of the cell, in Å."""

NEIGHBORS = {"Pt": 3.0, "Ce": 4.0, "O": 3.0}
"""Columns of an element that are nearer than that, in Å, are neighbours."""


@dataclass(frozen=True)
class Columns:
    """The atoms in the line of the beam, taken together.

    Parameters
    ----------
    x, y : their place across the beam in Å, from the corner of the cell; y points to the vacuum.
    element : the heaviest of each.
    atoms : the number of its atoms of that element.
    outside : whether it is at the surface of the particle or of the support.
    """

    x: Array
    y: Array
    element: NDArray[Any]
    atoms: NDArray[np.intp]
    outside: NDArray[np.bool_]


def supported_particle(rng: Generator) -> Atoms:
    """A particle of random size and shape on a random surface; one in twenty supports is bare.

    x lies along the surface, y points into the vacuum, z along the beam. The particle is bounded by
    {111} and {100} facets at random distances, and cut by its interface; some columns at its
    surface are missing, and some atoms sit on it. The support may have a step. The cell repeats
    along x; along y there is vacuum above the particle, and the support ends at the bottom; along z
    it ends with the last atom.

    Examples
    --------
    >>> atoms = supported_particle(np.random.default_rng(0))
    >>> sorted(set(atoms.symbols))
    ['Ce', 'O', 'Pt']
    """
    support = ceria_support(rng)
    atoms = support
    if rng.random() > 0.05:
        particle = platinum_particle(rng)
        particle.positions[:, 0] += rng.uniform(0.3, 0.7) * support.cell.lengths()[0]
        left, right = particle.positions[:, 0].min(), particle.positions[:, 0].max()
        x, y, _ = support.positions.T
        particle.positions[:, 1] += y[(x > left) & (x < right)].max() + rng.uniform(2.0, 2.8)
        atoms = support + particle
    atoms.positions[:, 2] -= atoms.positions[:, 2].min()
    atoms.cell[2, 2] = atoms.positions[:, 2].max()
    atoms.wrap(pbc=(True, False, False))
    return atoms


def ceria_support(rng: Generator) -> Atoms:
    """Its middle is at z = 0, and its last layer is a whole one.

    Along [111] the layers are O, Ce, O, O, Ce, O ...; cut between two of oxygen, the support is
    CeO2 as far as its surface. On (001) the last layer is of cerium, and on (110) of both.
    """
    names = list(SURFACES)
    plane = names[rng.choice(len(names), p=(0.7, 0.2, 0.1))]
    along, repeats = SURFACES[plane]
    period = CERIA * repeats
    width = period * round(WIDTH / period)
    depth = CERIA * 0.5**0.5 * rng.integers(5, 16)
    oxide = crystal(("Ce", "O"), ((0, 0, 0), (0.25,) * 3), spacegroup=225, cellpar=_cube(CERIA))
    positions, symbols = _fill(oxide, (width, 2 * SURFACE, depth), _frame(along, plane))
    x, y, z = positions.T
    small = 1e-3  # so that atoms on the border are there once, and all of those of a layer
    inside = (x > -small) & (x < width - small) & (z > -small) & (z < depth - small)
    step = rng.integers(3) * CERIA / 3**0.5 if rng.random() < 0.3 else 0.0
    edge = rng.uniform(0, width)
    top = CERIA * 3**0.5 / 12 if plane == (1, 1, 1) else 0.0
    inside &= (y <= np.where(x < edge, top - step, top) + small) & (y > -SURFACE)
    cell = (width, HEIGHT, depth)
    atoms = Atoms(symbols[inside], positions[inside], cell=cell, pbc=True)
    atoms.positions += 0, SURFACE, -depth / 2
    return atoms


def platinum_particle(rng: Generator) -> Atoms:
    """Around the middle of its lowest layer, as far as y = 0."""
    frame = _frame(SURFACES[1, 1, 1][0], (1, 1, 1))
    if rng.random() < 0.3:  # turned about the beam
        angle = rng.uniform(0, 2 * np.pi)
        turn = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        frame = np.array(turn) @ frame
    metal = crystal("Pt", ((0, 0, 0),), spacegroup=225, cellpar=_cube(PLATINUM))
    radius = rng.uniform(6, 14)
    sites, _ = _fill(metal, (4 * radius,) * 3, frame)
    sites += rng.uniform(-1, 1, 3) - sites.mean(0)
    inside = np.ones(len(sites), bool)
    for facet in FACETS:
        # {100} has the higher energy, so it lies further out (Wulff 1901).
        far = 1.15 if 0 in facet else 1.0
        normal = frame @ (np.array(facet) / np.linalg.norm(facet))
        inside &= sites @ normal <= radius * far * rng.uniform(0.75, 1.1)
    inside &= sites[:, 1] > -radius * rng.uniform(0.0, 0.7)
    sites[:, 1] -= sites[inside, 1].min()
    particle = _with_defects(sites, inside, rng)
    particle[:, [0, 2]] -= particle[:, [0, 2]].mean(0)
    return Atoms("Pt" * len(particle), particle)


def _with_defects(sites: Array, inside: NDArray[np.bool_], rng: Generator) -> Array:
    """Without some columns of its surface, and with a few atoms on some sites beside it."""
    column, of = _across_the_beam(sites)
    present = np.zeros(len(column), bool)
    present[np.unique(of[inside])] = True
    near = np.linalg.norm(column[:, None] - column[None], axis=2) < NEIGHBORS["Pt"]
    neighbors = (near & present).sum(1)
    surface = np.flatnonzero(present & (neighbors < neighbors[present].max()))
    beside = np.flatnonzero(~present & (neighbors >= 2) & (column[:, 1] >= 0))
    kept = inside.copy()
    missing = rng.permutation(surface)[: rng.integers(4)]
    kept &= ~np.isin(of, missing)
    for place in rng.permutation(beside)[: rng.integers(4)]:
        of_place = np.flatnonzero(of == place)
        middle = np.abs(sites[of_place, 2]).argsort()
        kept[of_place[middle[: rng.integers(1, 4)]]] = True
    return sites[kept]


def columns(atoms: Atoms) -> Columns:
    """The columns of a specimen.

    Examples
    --------
    >>> from ase import Atoms
    >>> found = columns(Atoms("PtPt", [(1, 2, 0), (1, 2, 3)], cell=(9, 9, 9)))
    >>> found.x, found.element, found.atoms
    (array([1.]), array(['Pt'], dtype='<U2'), array([2]))
    """
    places, of = _across_the_beam(atoms.positions)
    order = np.argsort(atoms.numbers)
    heaviest = np.zeros(len(places), int)
    heaviest[of[order]] = atoms.numbers[order]  # of several the last, which is the heaviest
    count = np.bincount(of, atoms.numbers == heaviest[of], len(places)).astype(int)
    element = np.array(chemical_symbols)[heaviest]
    outside = np.zeros(len(places), bool)
    width = atoms.cell.lengths()[0]
    for symbol, reach in NEIGHBORS.items():
        some = np.flatnonzero(element == symbol)
        apart = places[some, None] - places[some]
        apart[..., 0] -= width * np.round(apart[..., 0] / width)
        neighbors = (np.linalg.norm(apart, axis=2) < reach).sum(1)
        outside[some] = neighbors < neighbors.max(initial=0)
    return Columns(places[:, 0], places[:, 1], element, count, outside)


def _across_the_beam(positions: Array) -> tuple[Array, NDArray[np.intp]]:
    """The places of columns across the beam, and to which of them each atom belongs."""
    places, of = np.unique(positions[:, :2].round(2), axis=0, return_inverse=True)
    return places, of.reshape(-1)


def _fill(unit: Atoms, lengths: tuple[float, ...], frame: Array) -> tuple[Array, NDArray[Any]]:
    """The atoms of a crystal in a ball around a box from the origin to `lengths` and its mirror."""
    edge = unit.cell.lengths()[0]
    radius = np.linalg.norm(lengths)
    most = int(np.ceil(radius / edge)) + 1
    steps = np.arange(-most, most + 1) * edge
    corners = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 1, 3)
    positions = (corners + unit.positions).reshape(-1, 3) @ frame.T
    symbols = np.tile(unit.get_chemical_symbols(), len(corners))
    near = np.linalg.norm(positions, axis=1) <= radius
    return positions[near], symbols[near]


def _frame(along: tuple[int, ...], up: tuple[int, ...]) -> Array:
    """The rows are x, y and z of the image in the axes of the crystal."""
    axes = np.array([along, up, np.cross(along, up)], float)
    frame: Array = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return frame


def _cube(edge: float) -> list[float]:
    return [edge] * 3 + [90.0] * 3
