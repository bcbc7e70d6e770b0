"""The unsupervised losses of section 4 and those since: each needs the noisy image alone.

Each returns the loss of every pixel; its mean is the objective (see `Objective`).
"""

from gaintuning.objectives.blind_spot import BlindSpot as BlindSpot
from gaintuning.objectives.blind_spot import BlindSpotByArchitecture as BlindSpotByArchitecture
from gaintuning.objectives.hudson import Hudson as Hudson
from gaintuning.objectives.neighbors import Neighbor2Neighbor as Neighbor2Neighbor
from gaintuning.objectives.noise_resampling import NoiseResampling as NoiseResampling
from gaintuning.objectives.recorrupted import LevelErrorOfPair as LevelErrorOfPair
from gaintuning.objectives.recorrupted import Recorrupted as Recorrupted
from gaintuning.objectives.recorrupted import Thinned as Thinned
from gaintuning.objectives.risk import LevelError as LevelError
from gaintuning.objectives.risk import Pure as Pure
from gaintuning.objectives.risk import Sure as Sure
from gaintuning.objectives.unsure import Unsure as Unsure
