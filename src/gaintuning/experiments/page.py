"""An experiment as a page: the paper's words, and what was found, beside each other."""

from collections.abc import Sequence

from gaintuning.experiments.experiment import Experiment
from gaintuning.tables import Row, markdown


def page(name: str, experiment: Experiment, rows: Sequence[Row], *, quick: bool) -> str:
    """Markdown, from the rows of the table alone."""
    verdicts = [
        [check.claim, check.found, "yes" if check.holds else "**no**"]
        for check in experiment.checks(rows)
    ]
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

[{name}.csv]({name}.csv) has every row. {_made_by(rows)}
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
