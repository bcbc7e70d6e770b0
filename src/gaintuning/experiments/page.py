"""An experiment as a page: the paper's words, and what was found, beside each other."""

from collections.abc import Sequence

from gaintuning.experiments.experiment import Experiment
from gaintuning.tables import Row, markdown


def page(name: str, experiment: Experiment, rows: Sequence[Row], *, asked: int, quick: bool) -> str:
    """Markdown, from the rows of the table alone.

    Parameters
    ----------
    asked : number of rows of the whole experiment, of which there may be fewer so far.
    """
    so_far = "" if len(rows) >= asked else " so far"
    verdicts = [
        [check.claim, check.found, ("yes" if check.holds else "**no**") + so_far]
        for check in experiment.checks(rows)
    ]
    how_many = "every row" if not so_far else f"the {len(rows)} rows of {asked} that there are"
    command = f"gaintuning reproduce {name} {'--quick' if quick else '--data DATA'} -o FOLDER"
    return f"""# {experiment.title}

The paper says:

> {experiment.paper}

What was found, of {experiment.measured}:

{experiment.table(rows)}

{markdown(["claim", "found", "holds"], verdicts)}

![{experiment.title}]({name}.svg)

{experiment.differs}

```console norun
$ {command}
```

[{name}.csv]({name}.csv) has {how_many}. {_made_by(rows)}
"""


def _made_by(rows: Sequence[Row]) -> str:
    hours = sum(float(row["row_seconds"]) for row in rows) / 3600
    what = {
        name: ", ".join(dict.fromkeys(row[name] for row in rows))
        for name in ("gaintuning", "torch", "machine")
    }
    return (
        f"They took {hours:.2f} hours in all; made by gaintuning {what['gaintuning']} with torch "
        f"{what['torch']} on {what['machine']}."
    )
