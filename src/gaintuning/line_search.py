"""How far to go on the way from some parameters to others, by the losses on that way."""

from gaintuning.judging import Losses, compare, mean_loss

CAUTIOUS_STEPS = 40


def lowest_along(start: Losses, middle: Losses, end: Losses) -> float:
    """Where on the way from start to end the risk is lowest: 0 at the start, 1 at the end.

    Along that line the risk is nearly a parabola, known from three of its points.

    Examples
    --------
    >>> import torch
    >>> losses = [[torch.tensor([[[[loss]]]])] for loss in (2.0, 1.0, 2.0)]
    >>> lowest_along(*losses)
    0.5
    """
    before, half_way, whole_way = map(mean_loss, (start, middle, end))
    return lowest_of_parabola(half_way - before, whole_way - before)


def surest_along(
    start: Losses, middle: Losses, end: Losses, caution: float, off_by: float = 0.0
) -> float:
    """Where on the way from start to end the fall of the risk is surest; 0 if it nowhere is sure.

    That is where `caution` standard errors taken off the fall leave most. Near the lowest point the
    last steps bring little and cost as much certainty as the first, so it lies before that point.

    Parameters
    ----------
    start, middle, end : as for `lowest_along`.
    caution : in standard errors.
    off_by : what the fall on the whole way is off by, if the judge is off by a standard error.

    Examples
    --------
    >>> import torch
    >>> rough = 9 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> rough -= rough.mean()
    >>> losses = [[loss + part * rough] for part, loss in enumerate((2.0, 1.0, 2.0))]
    >>> [surest_along(*losses, caution) for caution in (0, 3, 300)]
    [0.5, 0.4, 0.0]
    """

    def surely(part: float) -> float:
        fall = compare(start, losses_along(part, start, middle, end), part * off_by)
        return fall.before - fall.after - caution * fall.standard_error

    return max((step / CAUTIOUS_STEPS for step in range(CAUTIOUS_STEPS + 1)), key=surely)


def losses_along(part: float, start: Losses, middle: Losses, end: Losses) -> Losses:
    """The losses so far on the way from start to end, by a parabola for each pixel.

    Examples
    --------
    >>> import torch
    >>> losses = [[torch.tensor([[[[loss]]]])] for loss in (0.0, 1.0, 4.0)]
    >>> losses_along(0.25, *losses)
    [tensor([[[[0.2500]]]])]
    """
    # Lagrange's polynomials through 0, 1/2 and 1.
    weights = ((1 - part) * (1 - 2 * part), 4 * part * (1 - part), part * (2 * part - 1))
    return [
        weights[0] * first + weights[1] * second + weights[2] * third
        for first, second, third in zip(start, middle, end, strict=True)
    ]


def lowest_of_parabola(half_way: float, whole_way: float) -> float:
    """Where between 0 and 1 a parabola through 0, and these at 1/2 and 1, is lowest.

    Examples
    --------
    >>> lowest_of_parabola(half_way=-1.0, whole_way=0.0)
    0.5
    """
    curvature = 2 * whole_way - 4 * half_way
    slope = whole_way - curvature
    if curvature <= 0:
        return 1.0 if whole_way < 0 else 0.0
    return min(max(-slope / (2 * curvature), 0.0), 1.0)
