"""What the commands share: options, and what becomes of an error."""

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

OUT_OF_MEMORY = "there is too little memory for an image of this size; denoise it in parts"

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
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        _fail(str(error) or OUT_OF_MEMORY)
    except RuntimeError as error:  # torch has no class of its own for this on the CPU
        if "memory" not in str(error):
            raise
        _fail(OUT_OF_MEMORY)
    except KeyboardInterrupt as stop:
        print(" ".join(["gaintuning: stopped", str(stop)]).strip(), file=sys.stderr)
        raise typer.Exit(130) from None


def _fail(message: str) -> NoReturn:
    print("gaintuning:", " ".join(message.split()), file=sys.stderr)
    raise typer.Exit(2)
