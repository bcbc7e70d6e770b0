"""What the commands share: options, and what becomes of an error."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gaintuning.failures import sentence_for

Network = Annotated[
    str,
    typer.Option(
        help="auto (the one on board that suits the image), a name that 'gaintuning networks' "
        "lists, or a .safetensors or .pt file."
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda, cuda:1 ...")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def run_command(command: Callable[[], None]) -> None:
    """Run a command; whatever the user can mend is one line and exit status 2."""
    try:
        command()
    except BrokenPipeError:  # who reads has seen enough, as `head` has, and typer ends quietly
        raise
    except Exception as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        print("gaintuning:", sentence, file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as stop:
        print(" ".join(["gaintuning: stopped", str(stop)]).strip(), file=sys.stderr)
        raise typer.Exit(130) from None
