"""The command line: what may be asked for.

The work is in the modules named after commands. A command imports its own when it is run, since
torch comes with it and `--help` need not wait for that.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gaintuning import cli_study
from gaintuning.cli_options import Device, Force, Network, Quiet, Seed, run_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> bool:
    if asked:
        from gaintuning import __version__

        print(f"gaintuning {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Tell and exit."),
    ] = False,
) -> None:
    """Denoise images with a network that adapts itself to each of them (GainTuning)."""


@app.command()
def denoise(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="PNG, JPEG, TIFF, OME-TIFF, NPY, MRC, DM3, DM4, SER, EMI, EMD, TVIPS or HDF5 "
            "files; patterns such as '*.tif' too."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The denoised file, or a folder: a name without a suffix."
        ),
    ],
    network: Network = "auto",
    noise: Annotated[
        str,
        typer.Option(
            help="auto, gaussian:SIGMA, poisson:GAIN[,OFFSET] or "
            "poisson-gaussian:GAIN,SIGMA[,OFFSET], in the units of the image's intensities."
        ),
    ] = "auto",
    intensity_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="LOW HIGH",
            help="The intensities that map to 0 and 1; by default 0 255 for 8-bit images, 0 1 for "
            "floats that fill it, else found from the image.",
        ),
    ] = None,
    objective: Annotated[
        Literal[
            "auto", "sure", "unsure", "pure", "blind-spot", "neighbor2neighbor", "noise-resampling"
        ],
        typer.Option(help="The loss that tuning minimises."),
    ] = "auto",
    axes: Annotated[
        str | None,
        typer.Option(help="A letter per axis, as in TYX, ZYX, CYX or YXS, if the file is wrong."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Adapt the network, or use it as it is.")
    ] = True,
    like_places: Annotated[
        bool,
        typer.Option(
            "--like-places/--no-like-places",
            help="Filter places that look alike together, where the image says that it helps; "
            "leave it out to look at what has no like, such as a single atom.",
        ),
    ] = True,
    each_frame: Annotated[
        bool,
        typer.Option(
            "--each-frame",
            help="Of a movie, tune to each frame, beginning with the gains of the one before; by "
            "default all frames share one set of gains.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page to look at: an .html file, or for several images a folder."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    skip: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Leave out images whose denoised file is there already."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Quiet = False,
) -> None:
    """Denoise image files: adapt a pre-trained network to each, without a clean image."""
    from gaintuning import commands

    run_command(
        lambda: commands.denoise_files(
            images,
            output,
            commands.Request(
                network=network,
                noise=noise,
                intensity_range=intensity_range,
                objective=objective,
                axes=axes,
                tune=tune,
                like_places=like_places,
                each_frame=each_frame,
                seed=seed,
                device=device,
            ),
            report=report,
            force=force,
            skip=skip,
            as_json=as_json,
            quiet=quiet,
        )
    )


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="An image, or the file of a network.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what is in a file: size, axes, intensities and noise, or a network's card."""
    from gaintuning import info_command

    run_command(lambda: info_command.describe(file, as_json=as_json))


@app.command()
def networks() -> None:
    """List the pre-trained networks on board."""
    from gaintuning import network_commands

    run_command(lambda: network_commands.list_networks())


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the images and the report.")
    ] = Path("gaintuning-demo"),
    sigma: Annotated[
        float, typer.Option(help="Level of the noise to add, for intensities from 0 to 255.")
    ] = 50.0,
    network: Network = "auto",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Add noise to a scanned page, denoise it, and compare with the original."""
    from gaintuning import demo_command

    run_command(
        lambda: demo_command.demonstrate(
            output,
            sigma=sigma,
            network=network,
            seed=seed,
            device=device,
            force=force,
            quiet=quiet,
        )
    )


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .pt checkpoint, or a .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    training_set: Annotated[
        str | None, typer.Option(help="What it was trained on, for the card.")
    ] = None,
    sigma: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Range of noise, for intensities from 0 to 255."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store filters in 16 bits.")] = False,
    force: Force = False,
) -> None:
    """Turn a published checkpoint into safetensors with a card, or change that of a network."""
    from gaintuning import network_commands

    run_command(
        lambda: network_commands.convert_network(
            source,
            target,
            training_set=training_set,
            sigma=sigma,
            licence=licence,
            half=half,
            force=force,
        )
    )


app.add_typer(cli_study.app)
