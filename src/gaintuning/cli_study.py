"""The commands for those who train, compare and reproduce."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gaintuning.cli_options import Device, Force, Quiet, Seed, run_command

app = typer.Typer()


@app.command()
def simulate(
    scenes: Annotated[
        Literal["piecewise", "documents", "nanoparticles"],
        typer.Argument(help="What the images show."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the images.")],
    count: Annotated[int, typer.Option(help="Number of images.")] = 400,
    size: Annotated[int, typer.Option(help="Side of an image in pixels.")] = 180,
    dose: Annotated[
        float | None,
        typer.Option(help="Of nanoparticles: counts as well, of so many electrons per Å²."),
    ] = None,
    processes: Annotated[
        int, typer.Option(help="Of nanoparticles: how many specimens at a time.")
    ] = 1,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make clean images: flat discs, edges and lines; scanned pages; or electron micrographs.

    Nanoparticles are platinum on ceria, by multislice, ten images a specimen, with a table of
    their atomic columns; they need the extra sim, and a run that was stopped goes on.
    """
    from gaintuning import simulate_command

    run_command(
        lambda: simulate_command.simulate_images(
            scenes,
            output,
            count=count,
            size=size,
            seed=seed,
            dose=dose,
            processes=processes,
            force=force,
            quiet=quiet,
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
    counts: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Train on shot noise instead, of so many counts at the highest intensity.",
        ),
    ] = None,
    preset: Annotated[
        Literal["fast", "published"],
        typer.Option(help="Settings for the options below, or the recipe of the published ones."),
    ] = "fast",
    patch: Annotated[
        int | None, typer.Option(help="Side of the training patches in pixels.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Patches in a step.")] = None,
    scales: Annotated[
        list[float] | None,
        typer.Option(
            "--scale",
            help="A size at which each image is used, 1 being its own, as often as there are some.",
        ),
    ] = None,
    loss: Annotated[
        Literal["mse", "psnr"],
        typer.Option(
            help="The mean squared error, in which strong noise weighs most, or the mean PSNR, "
            "which takes all levels alike."
        ),
    ] = "mse",
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
                counts=counts,
                patch=patch,
                batch=batch,
                loss=pretrain_command.LOSSES[loss],
                scales=tuple(scales) if scales else None,
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

    run_command(train)


@app.command()
def evaluate(
    images: Annotated[
        list[Path], typer.Argument(help="Clean images, and folders of them; colors become gray.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The table, a CSV file; what it has is kept.")
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A method, as often as there are some; behind a colon its number of steps, as in "
            "self2self:1000, and behind an @ the side of bins of pixels over which it sees means, "
            "as in bm3d@4. By default pretrained and gaintuning.",
        ),
    ] = None,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            help="A pre-trained network, as often as there are some; by default auto: the one on "
            "board that suits the image, or the one for natural images where a method has no "
            "choice.",
        ),
    ] = None,
    noises: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            help="gaussian:SIGMA, poisson:GAIN or poisson-gaussian:GAIN,SIGMA, in the units of "
            "the images, as often as there are some. By default gaussian:25; of noisy images auto, "
            "which finds it.",
        ),
    ] = None,
    noisy: Annotated[
        bool,
        typer.Option(
            "--noisy",
            help="The images are noisy already; there is no truth. Of a movie of one scene "
            "the first frame is denoised, and scored by the others (uPSNR).",
        ),
    ] = False,
    processes: Annotated[int, typer.Option(help="How many images at a time.")] = 1,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Compare methods on images with noise added; a comparison that was stopped goes on."""
    from gaintuning import evaluate_command, zoo

    run_command(
        lambda: evaluate_command.compare(
            images,
            output,
            methods=methods or ["pretrained", "gaintuning"],
            networks=networks or [zoo.AUTO],
            noises=noises or ["auto" if noisy else "gaussian:25"],
            seed=seed,
            noisy=noisy,
            processes=processes,
            as_json=as_json,
            quiet=quiet,
        )
    )


@app.command()
def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="The experiment; without it, they are listed.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with set12, bsd68, urban100 and documents, folders of images."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A few small images and networks on board, in minutes."),
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for table, page and figure.")
    ] = Path("reproduced"),
    processes: Annotated[int, typer.Option(help="How many images at a time.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Repeat an experiment of the paper; one that was stopped goes on."""
    from gaintuning import reproduce_command

    def run() -> None:
        if name is None:
            reproduce_command.list_experiments()
            return
        reproduce_command.reproduce(
            name, output, data=data, quick=quick, processes=processes, quiet=quiet
        )

    run_command(run)
