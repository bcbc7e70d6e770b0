"""The command line: what may be asked for.

The work is in the modules named after commands. A command imports its own when it is run, since
torch comes with it and `--help` need not wait for that.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

OUT_OF_MEMORY = "there is too little memory for an image of this size; denoise it in parts"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Denoise images with a network that adapts itself to each of them (GainTuning).",
)

Network = Annotated[
    str,
    typer.Option(help="A name that 'gaintuning networks' lists, or a .safetensors or .pt file."),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda, cuda:1 ...")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


@app.command()
def denoise(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="PNG, JPEG, TIFF, OME-TIFF or NPY files; patterns such as '*.tif' too."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The denoised file, or a folder: a name without a suffix."
        ),
    ],
    network: Network = "unet-bias-free",
    noise: Annotated[
        str,
        typer.Option(
            help="auto, gaussian:SIGMA, poisson:GAIN or poisson-gaussian:GAIN,SIGMA, in the units "
            "of the image's intensities."
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
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page to look at: an .html file, or for several images a folder."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Quiet = False,
) -> None:
    """Denoise image files: adapt a pre-trained network to each, without a clean image."""
    from gaintuning import commands

    _run(
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
                seed=seed,
                device=device,
            ),
            report=report,
            force=force,
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
    from gaintuning import commands

    _run(lambda: commands.describe(file, as_json=as_json))


@app.command()
def networks() -> None:
    """List the pre-trained networks on board."""
    from gaintuning import network_commands

    _run(lambda: network_commands.list_networks())


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the images and the report.")
    ] = Path("gaintuning-demo"),
    sigma: Annotated[
        float, typer.Option(help="Level of the noise to add, for intensities from 0 to 255.")
    ] = 50.0,
    network: Network = "unet-bias-free",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Add noise to a scanned page, denoise it, and compare with the original."""
    from gaintuning import demo_command

    _run(
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

    _run(
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


@app.command()
def simulate(
    scenes: Annotated[Literal["piecewise"], typer.Argument(help="What the images show.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the images.")],
    count: Annotated[int, typer.Option(help="Number of images.")] = 400,
    size: Annotated[int, typer.Option(help="Side of an image in pixels.")] = 180,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make clean images to train on: discs, edges and lines of constant gray levels."""
    from gaintuning import simulate_command

    _run(
        lambda: simulate_command.simulate_images(
            scenes, output, count=count, size=size, seed=seed, force=force, quiet=quiet
        )
    )


@app.command()
def pretrain(
    architecture: Annotated[
        Literal["dncnn", "bfcnn", "unet", "unet-bias-free", "blind-spot"],
        typer.Argument(help="The network to train."),
    ],
    images: Annotated[Path, typer.Argument(help="A folder of clean images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    residual: Annotated[
        bool, typer.Option("--residual", help="For a UNet: predict the noise, not the image.")
    ] = False,
    channels: Annotated[
        Literal["gray", "color"], typer.Option(help="Train on gray or on color images.")
    ] = "gray",
    sigma: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Range of noise, for intensities from 0 to 255."),
    ] = (0.0, 55.0),
    preset: Annotated[
        Literal["fast", "published"],
        typer.Option(help="Settings for the options below, or the recipe of the published ones."),
    ] = "fast",
    patch: Annotated[
        int | None, typer.Option(help="Side of the training patches in pixels.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Patches in a step.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak rate of the optimisers.")] = None,
    precision: Annotated[
        Literal["32-true", "bf16-mixed"] | None,
        typer.Option(help="Of the convolutions; by default what is fastest on the device."),
    ] = None,
    unsupervised: Annotated[
        bool,
        typer.Option("--unsupervised", help="For a blind-spot network: learn from noisy images."),
    ] = False,
    freeze_statistics: Annotated[
        bool,
        typer.Option(
            "--freeze-statistics",
            help="Keep the statistics of batch normalisation that the network starts with.",
        ),
    ] = False,
    start_from: Annotated[
        str | None, typer.Option(help="Start with the weights of this network, by name or file.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(help="How many devices to train on.")] = 1,
    training_set: Annotated[
        str | None, typer.Option(help="Name of the images, for the card; else the folder's.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "unknown",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on a folder of clean images; a run that was stopped goes on."""

    def train() -> None:
        from gaintuning import pretrain_command

        pretrain_command.pretrain_network(
            architecture,
            images,
            output,
            residual=residual,
            color=channels == "color",
            recipe=pretrain_command.choose_recipe(
                preset,
                sigma=(sigma[0] / 255, sigma[1] / 255),
                patch=patch,
                batch=batch,
                steps=steps,
                peak=rate,
                supervised=not unsupervised,
                frozen_statistics=freeze_statistics,
                precision=precision,
                seed=seed,
                device=device,
            ),
            start_from=start_from,
            device=device,
            devices=devices,
            training_set=training_set,
            licence=licence,
            force=force,
            quiet=quiet,
        )

    _run(train)


def _run(command: Callable[[], None]) -> None:
    """Run a command; whatever the user can mend is one line and exit status 2."""
    try:
        command()
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        _fail(str(error) or OUT_OF_MEMORY)
    except RuntimeError as error:  # torch has no class of its own for this on the CPU
        if "memory" not in str(error):
            raise
        _fail(OUT_OF_MEMORY)
    except KeyboardInterrupt:
        print("gaintuning: stopped", file=sys.stderr)
        raise typer.Exit(130) from None


def _fail(message: str) -> NoReturn:
    print("gaintuning:", " ".join(message.split()), file=sys.stderr)
    raise typer.Exit(2)
