"""The experiments by name, loaded when they are asked for."""

from importlib import import_module

from gaintuning.experiments.experiment import Experiment

NAMES = (
    *("fig3", "fig4", "losses", "parameters", "both", "poisson"),
    *("micrographs", "who-benefits", "transfer", "net-bias", "filters"),
    *("never-worse", "unknown-noise"),
)


def load(name: str) -> Experiment:
    """An experiment.

    Raises
    ------
    ValueError : there is none of this name.

    Examples
    --------
    >>> load("losses").title
    'Which loss to tune by'
    """
    if name not in NAMES:
        raise ValueError(f"there is no experiment {name!r}; known are {', '.join(NAMES)}")
    module = import_module(f"gaintuning.experiments.{name.replace('-', '_')}")
    experiment: Experiment = module.EXPERIMENT
    return experiment
