"""One command a verb, nothing else: arguments in, one line of result or error out."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from augmentor.together.workers import Workers

PATH = click.Path(path_type=Path)

GO_ON = {
    "train": "`augmentor train --resume` goes on",
    **dict.fromkeys(("ingest", "synthesize", "evaluate", "pairs"), "the same command goes on"),
    "fill": "the same command goes on after the last scene of --all that was written; one scene begins again",
}
"""What is done with a verb that was interrupted; the others begin again."""


def answers(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a user's error into one line on stderr and exit code 2; a signal into exit code 128 and its number."""

    @wraps(verb)
    def wrapped(*args: Any, **options: Any) -> None:
        from augmentor.errors import Interrupted, UserError
        from augmentor.progress import failure
        from data_adapters.errors import SystemRefused

        try:
            verb(*args, **options)
        except Interrupted as error:
            failure(error)
            sys.exit(128 + error.signal)
        except BrokenPipeError:
            raise
        except (UserError, OSError) as error:
            failure(error if isinstance(error, UserError) else SystemRefused.of(error))
            sys.exit(2)
        except KeyboardInterrupt:
            do = GO_ON.get(verb.__name__, "the same command begins again")
            failure(Interrupted("interrupted", signal=signal.SIGINT, do=do))
            sys.exit(128 + signal.SIGINT)

    return wrapped


runs_option = click.option("--runs", type=PATH, default=Path("runs"), show_default=True, help="Folder of runs.")
run_option = click.option("--run", help="Run to use, a folder or name; the latest when absent.")

pacs_option = click.option(
    "--to-pacs", "pacs", default="", metavar="HOST:PORT/AET", help="Send DICOM there by C-STORE."
)
web_option = click.option("--to-dicomweb", "web", default="", metavar="URL", help="Post DICOM there by STOW-RS.")


def delivered(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Options for what is done with written files; the verb is given them as one ``deliver``."""

    @click.option("--cog", is_flag=True, help="Lay GeoTIFFs out for the cloud (COG).")
    @click.option("--stac", is_flag=True, help="Describe each GeoTIFF by a STAC item beside it.")
    @click.option("--compress", type=click.Choice(["rle", "jpeg-ls", "jpeg2000"]), help="Compress DICOM, losslessly.")
    @pacs_option
    @web_option
    @wraps(verb)
    def wrapped(*args: Any, cog: bool, stac: bool, compress: str | None, pacs: str, web: str, **options: Any) -> None:
        from data_adapters import Delivery

        verb(*args, deliver=Delivery(cog, stac, compress or "", pacs, web), **options)

    return wrapped


def clustered(verb: Callable[..., Any]) -> Callable[..., Any]:
    """An option for who does the tasks of a long verb, which is given them as ``hands``."""

    @click.option("--scheduler", default="", metavar="TCP://HOST:PORT|local:N",
                  help="Let a dask cluster do it, or N processes of this machine.")  # fmt: skip
    @wraps(verb)
    def wrapped(*args: Any, scheduler: str, **options: Any) -> None:
        from augmentor.together.workers import workers

        with workers(scheduler) as hands:
            verb(*args, hands=hands, **options)

    return wrapped


class Verbs(click.Group):
    """The command, which tells all that it tells on stderr in the format that was asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params["log_format"] == "text":
            return super().invoke(ctx)
        from augmentor.progress import misunderstood, tell_as

        tell_as(ctx.params["log_format"])
        # For a program that calls this one, and goes on.
        ctx.call_on_close(lambda: tell_as("text"))
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            misunderstood(error.format_message(), error.ctx.command_path if error.ctx else "augmentor")
            sys.exit(error.exit_code)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="t2t-augmentor", prog_name="augmentor")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="How progress, notes and errors are told on stderr; json, an object a line.")  # fmt: skip
def main(log_format: str) -> None:
    """Make medical and satellite imagery where there is too little of it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not be text: what is none is told by its code.
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("source", type=PATH)
@answers
def inspect(source: Path) -> None:
    """Say what is in SOURCE: series, spacing, gaps, bands, dates, labels, and a recipe for it."""
    from augmentor.inspect import inspect

    click.echo(inspect(source))


@main.command()
@click.argument("recipe")
@click.option("--data", type=PATH, help="File or folder of images; overrides data.path.")
@click.option("--set", "changes", multiple=True, metavar="A.B=C", help="Change a value of the recipe.")
@click.option("--store", type=PATH, default=Path("runs/tiles"), show_default=True, help="Folder of tile stores.")
@answers
@clustered
def ingest(recipe: str, data: Path | None, changes: tuple[str, ...], store: Path, hands: Workers) -> None:
    """Cut the data of RECIPE into tiles, split by patient or place. `train` does it when needed."""
    from augmentor import recipe as recipes
    from augmentor.ingest import ingest

    found = ingest(recipes.load(recipe, changes, path=data), store, hands)
    held_out = len(found.rows(held_out=True))
    click.echo(f"{found.folder}: {len(found.index)} tiles, {held_out} of them held out")


@main.command()
@click.argument("recipe", required=False)
@click.option("--data", type=PATH, help="File or folder of images; overrides data.path.")
@click.option("--masks", type=PATH, help="Cloud masks on the same grid (to train a fill run on a stack).")
@click.option("--set", "changes", multiple=True, metavar="A.B=C", help="Change a value of the recipe.")
@click.option(
    "--resume", is_flag=False, flag_value="latest", help="Go on with an interrupted run (the latest), as it was."
)
@click.option("--from", "start", metavar="RUN", help="Start from the networks of another run, as far as they fit.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True,
              help="GPUs, or processes on a CPU, that learn from each batch together.")  # fmt: skip
@runs_option
@answers
def train(
    recipe: str | None,
    data: Path | None,
    masks: Path | None,
    changes: tuple[str, ...],
    resume: str | None,
    start: str | None,
    devices: int,
    runs: Path,
) -> None:
    """Train a run from RECIPE: a YAML file, or the name of one that is shipped (see `recipes`)."""
    from augmentor.together.launch import launch, leads, member

    if devices > 1 and not member():
        sys.exit(launch(devices, sys.argv[1:]))
    from augmentor.train import train

    run = train(recipe, data=data, masks=masks, changes=changes, runs=runs, resume=resume or False, start=start)
    if leads():
        click.echo(f"{run.folder}: trained")


def _values(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """What an option that may be given several times says: NAME=VALUE each."""
    from augmentor.errors import WrongCondition

    asked = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise WrongCondition(f"{option} {pair!r} has no '='", do="write it as name=value")
        asked[name] = value
    return asked


@main.command()
@click.option("--n", type=click.IntRange(min=1), required=True, help="How many samples.")
@run_option
@click.option("-o", "--out", type=PATH, help="Folder to write; one below the run's by default.")
@click.option("--format", type=click.Choice(["source", "dicom", "nifti", "geotiff", "png"]), help="What to write.")
@click.option("--condition", multiple=True, metavar="NAME=VALUE", help="Ask for a value of a condition.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--guidance", type=float, default=1.0, show_default=True, help="How far samples follow conditions.")
@click.option("--segmentation", type=PATH, help="Label maps to make images for (runs conditioned on them).")
@click.option("--only-if-passed", is_flag=True, help="Only where `evaluate` did not fail the run's samples.")
@click.option("--sieve", is_flag=True, help="Leave out near copies and samples unlike any real image; draw others.")
@runs_option
@delivered
@answers
@clustered
def synthesize(n: int, condition: tuple[str, ...], **options: Any) -> None:
    """Write samples of a run in the source's format, with labels.csv and a contact sheet.

    The same command after an interruption goes on where it stopped.
    """
    from augmentor.synthesize import synthesize

    folder = synthesize(n, condition=_values("--condition", condition), **options)
    click.echo(f"{folder}: {n} samples")


@main.command()
@click.argument("run", required=False)
@click.option("--real", type=PATH, help="Real images, in place of the run's own.")
@click.option("--synthetic", type=PATH, help="Samples, of whatever tool, in place of the run's.")
@click.option("-o", "--out", type=PATH, help="Folder of the report; `report` in the run's when absent.")
@click.option("--n", type=click.IntRange(min=1), default=512, show_default=True, help="Samples that are drawn.")
@click.option("--features", type=PATH, help="A network of your own that likeness is measured by, too.")
@click.option("--recipe", help="How folders are cut and labelled, where no run says so.")
@click.option("--set", "changes", multiple=True, metavar="A.B=C", help="Change a value of that recipe.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@runs_option
@answers
@clustered
def evaluate(run: str | None, **options: Any) -> None:
    """Say whether samples of RUN, or those at --synthetic, may be used: a page of figures beside real images' own.

    Ends with exit code 1 where they fail.
    """
    from augmentor.evaluate import evaluate

    verdict = evaluate(run, **options)
    for part in verdict.parts:
        click.echo(f"{part.grade.word:8}{part.name}: {part.reason}")
    click.echo(f"{verdict.page}: {verdict.grade.word}")
    sys.exit(verdict.grade.word == "fail")


@main.command()
@click.argument("source", type=PATH)
@click.option("-o", "--out", type=PATH, default=Path("scores"), show_default=True, help="Folder to write.")
@click.option("--alarms", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="Part of usual images that may raise an alarm.")  # fmt: skip
@click.option("--maps/--no-maps", default=True, help="Write a map of every scene, in its own format and grid.")
@run_option
@runs_option
@answers
@clustered
def score(source: Path, **options: Any) -> None:
    """Say how strange the images at SOURCE are to a run that was trained on usual ones, and where in them."""
    from augmentor.score import score

    found = score(source, **options)
    strange = sum(row.alarm for row in found.rows)
    click.echo(f"{found.folder}: {len(found.rows)} images, {strange} of them stranger than usual ones")


@main.command()
@click.argument("what", metavar="RUN|FILE")
@click.option("-o", "--out", type=PATH, help="Page to write; view.html when absent.")
@click.option("--scene", "name", default="", help="Which scene of FILE, where it holds several (see inspect).")
@click.option("--source", type=PATH, help="What FILE was filled or scored from, to see it beside or below.")
@click.option("--real/--no-real", default=True, help="Show held-out images beside samples of RUN.")
@click.option("--serve", "serving", is_flag=True, help="Serve FILE at full resolution, to this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve at; a free one when absent.")
@runs_option
@answers
def view(what: str, out: Path | None, serving: bool, port: int, real: bool, runs: Path, **options: Any) -> None:
    """Show a run, or a file, on one page that needs a browser and nothing else."""
    from augmentor.view import serve, view

    if not serving:
        click.echo(f"{view(what, out or Path('view.html'), real=real, runs=runs, **options)}: open it in a browser")
        return
    if out is not None:
        raise click.UsageError("--serve writes no page: leave -o out")
    with serve(what, port=port, runs=runs, **options) as server:
        click.echo(f"{server.url}: open it in a browser; Ctrl-C ends it")
        sys.stdout.flush()
        server.until_interrupted()


@main.command()
@click.argument("run", required=False, metavar="[RUN|RECIPE]")
@click.option("--n", type=click.IntRange(min=1), required=True, help="How many pairs.")
@click.option("-o", "--out", type=PATH, default=Path("pairs"), show_default=True, help="Folder to write.")
@click.option("--before", multiple=True, metavar="NAME=VALUE", help="A condition of the first date; segmentation=LABEL "
              "of the region, in runs that make images for label maps.")  # fmt: skip
@click.option("--after", multiple=True, metavar="NAME=VALUE", required=True, help="The same of the second date.")
@click.option("--segmentation", type=PATH, help="Label maps that both dates follow elsewhere (those same runs).")
@click.option("--shapes", type=PATH, help="Masks that changes have the form of, in place of drawn regions.")
@click.option("--extent", type=(float, float), default=(0.02, 0.25), show_default=True, metavar="LOW HIGH",
              help="Smallest and largest part of a tile that changes.")  # fmt: skip
@click.option("--unchanged", type=float, default=0.1, show_default=True, help="Part of pairs without any change.")
@click.option("--fixed/--free", default=True, help="Keep the background outside the mask bit for bit.")
@click.option("--format", type=click.Choice(["source", "dicom", "nifti", "geotiff", "png"]), help="What to write.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--guidance", type=float, default=1.0, show_default=True, help="How far samples follow conditions.")
@runs_option
@answers
def pairs(n: int, before: tuple[str, ...], after: tuple[str, ...], **options: Any) -> None:
    """Write pairs of tiles, before and after a change, with masks of it, to train change detectors on.

    The same command after an interruption goes on where it stopped.
    """
    from augmentor.pairs import pairs

    folder = pairs(n, before=_values("--before", before), after=_values("--after", after), **options)
    click.echo(f"{folder}: {n} pairs")


@main.command()
@click.argument("source", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="File, or folder for a series or stack.")
@click.option("--to", multiple=True, required=True, metavar="NAME=VALUE", help="A condition of the wanted look.")
@click.option("--from", "own", multiple=True, metavar="NAME=VALUE",
              help="What SOURCE looks like; its date's month, or what fits best, when absent.")  # fmt: skip
@click.option("--scene", "name", default="", help="Which scene of SOURCE, where it holds several (see inspect).")
@run_option
@runs_option
@delivered
@answers
def restyle(source: Path, out: Path, to: tuple[str, ...], own: tuple[str, ...], **options: Any) -> None:
    """Give SOURCE the look of another scanner, kernel, sensor or season, and keep what it shows."""
    from augmentor.restyle import restyle

    done = restyle(source, out, to=_values("--to", to), own=_values("--from", own), **options)
    click.echo(f"{out}: {done.pixels} pixels {done.changed}")


@main.command()
@click.argument("source", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="File, or folder for a series or stack.")
@click.option("--mask", type=PATH, help="Raster, volume or dated folder on the same grid; or a layer's name, as scl.")
@click.option(
    "--mask-means", default="", help="scl, qa_pixel, bqa, probability:0.4, mask; as its name says when absent."
)
@click.option(
    "--aux", type=PATH, multiple=True, help="What shows more, as fine or coarser: radar, elevation, contrast."
)
@click.option("--spacing", type=float, metavar="MM", help="New slices between those of a volume, to be so far apart.")
@click.option("--extrapolate", is_flag=True, help="Fill slices beyond the last known one, too.")
@click.option("--grow", type=click.IntRange(0, 64), default=0, help="Pixels to widen a mask by: shadows, haze.")
@click.option("--scene", "name", default="", help="Which scene of SOURCE, where it holds several (see inspect).")
@click.option("--all", "every", is_flag=True, help="Every scene of SOURCE, each into a folder of its own.")
@run_option
@click.option("--prior-only", is_flag=True, help="Use the classical answer alone.")
@click.option(
    "--adapt/--no-adapt",
    "adapting",
    default=None,
    help="Learn on SOURCE itself; done without asking where no run fits.",
)
@click.option(
    "--adapt-tiles",
    "tiles",
    type=click.IntRange(64),
    help="Hidden parts that are learned from, at most; unless given, 40000 of a volume, else 24000.",
)
@click.option("--sharp", is_flag=True, help="A sample of what may have been there, not the best guess.")
@runs_option
@delivered
@answers
@clustered
def fill(source: Path, out: Path, name: str, every: bool, hands: Workers, **options: Any) -> None:
    """Rebuild missing slices, clouds or nodata of SOURCE; every observed pixel stays as it was."""
    from augmentor.together.workers import HERE

    if every and name:
        raise click.UsageError("--scene names one scene, and --all fills every one: leave one of them out")
    if hands is not HERE and not every:
        raise click.UsageError("--scheduler divides scenes among workers: give --all, or leave it out")
    if every:
        from augmentor.fill_all import fill_all

        records = fill_all(source, out, hands=hands, **options)
        left_out = [record for record in records if "left out" in record]
        for record in left_out:
            click.echo(f"{record['scene']} left out: {record['left out']}")
        click.echo(f"{out}: {len(records) - len(left_out)} of {len(records)} scenes filled")
        return
    from augmentor.fill import fill

    filled = fill(source, out, name=name, **options)
    click.echo(f"{out}: {filled.holes}, {filled.pixels} pixels rebuilt by {filled.method}")
    click.echo(f"expected error inside the holes: {filled.expected_error}")


@main.command()
@click.argument("source", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="File, or a folder for one.")
@click.option("--at", required=True, metavar="DATE|MM", help="2018-06-20; or mm from the first slice of a volume.")
@click.option("--mask", type=PATH, help="What is not to be looked at: clouds, or damage; as in fill.")
@click.option(
    "--mask-means", default="", help="scl, qa_pixel, bqa, probability:0.4, mask; as its name says when absent."
)
@click.option("--grow", type=click.IntRange(0, 64), default=0, help="Pixels to widen a mask by: shadows, haze.")
@click.option("--extrapolate", is_flag=True, help="Go on beyond the first or last date or slice, too.")
@click.option("--scene", "name", default="", help="Which scene of SOURCE, where it holds several (see inspect).")
@click.option("--prior-only", is_flag=True, help="Use the classical answer alone.")
@click.option("--adapt-tiles", "tiles", type=click.IntRange(64), default=8_000, show_default=True,
              help="Hidden parts that are learned from, at most.")  # fmt: skip
@click.option("--sharp", is_flag=True, help="A sample of what may be there, not the best guess.")
@delivered
@answers
def interpolate(source: Path, out: Path, **options: Any) -> None:
    """Make the date that a stack at SOURCE lacks, or the slice of a volume between two, and say how sure it is."""
    from augmentor.interpolate import interpolate

    made = interpolate(source, out, **options)
    click.echo(f"{made.files[0]}: {made.between}, by {made.method}")
    click.echo(f"expected error: {made.expected_error}")


@main.command()
@click.argument("source", type=PATH)
@pacs_option
@web_option
@answers
def send(source: Path, pacs: str, web: str) -> None:
    """Send the DICOM files at SOURCE to an archive, as they are."""
    from data_adapters import Delivery

    count = Delivery(pacs=pacs, web=web).send(source)
    click.echo(f"{source}: {count} files sent")


@main.command()
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@click.option("--remake", is_flag=True, help="Let the run draw each sample again, and compare the pixels.")
@click.option("--source", type=PATH, help="What FILE was filled from: is each observed pixel still its own?")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@runs_option
@answers
def verify(files: tuple[Path, ...], remake: bool, source: Path | None, as_json: bool, runs: Path) -> None:
    """Say of each FILE, or file in a folder, which run made it, and whether it was changed since.

    Ends with exit code 1 where one is not ours, or not as it was.
    """
    from augmentor.verify import summary, verify

    verdicts = verify(*files, runs=runs, remake=remake)
    compared = []
    if source is not None:
        from augmentor.verifying.observed import observed

        compared = [observed(file, source) for file in files]
    if as_json:
        record = {"files": [verdict.as_dict() for verdict in verdicts], "observed": [asdict(o) for o in compared]}
        click.echo(json.dumps(record, indent=2, default=str))
    else:
        for verdict in verdicts:
            click.echo(f"{verdict.file}: {verdict}")
        if len(verdicts) > 1:
            click.echo(summary(verdicts))
        for file, found in zip(files, compared, strict=False):
            click.echo(f"{file}: {found}")
    sys.exit(not (all(verdict.fine for verdict in verdicts) and all(found.fine for found in compared)))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@runs_option
@answers
def runs(as_json: bool, runs: Path) -> None:
    """List the runs: state, recipe, tiles, last figures, CPU time, verdict, size on disk."""
    from augmentor.runs import runs as listed
    from augmentor.runs import table

    every = listed(runs)
    click.echo(json.dumps([run.as_dict() for run in every], indent=2) if as_json else table(every))


class Recipes(click.Group):
    """A verb whose other words are names of recipes, which are printed."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        return super().get_command(ctx, name) or click.Command(name, callback=answers(lambda: _print_recipe(name)))


def _print_recipe(name: str) -> None:
    from augmentor import recipe as known

    known.load(name)
    click.echo((known.shipped().get(name) or Path(name)).read_text(), nl=False)


@main.group(cls=Recipes, invoke_without_command=True, subcommand_metavar="[NAME | new DATA]")
@click.pass_context
@answers
def recipes(ctx: click.Context) -> None:
    """List the shipped recipes, print the one called NAME, or write one that is fitted to DATA."""
    if ctx.invoked_subcommand is None:
        from augmentor import recipe as known

        for shipped in known.shipped():
            click.echo(f"{shipped:22} {known.load(shipped).about}")


@recipes.command()
@click.argument("data", type=PATH)
@click.option("-o", "--out", type=PATH, default=Path("recipe.yaml"), show_default=True, help="File to write.")
@answers
def new(data: Path, out: Path) -> None:
    """Write a commented recipe fitted to DATA: what suits it, why, and how long training takes here."""
    from augmentor.fitting.new import new

    click.echo(f"{new(data, out)}: written; read it, and go on with: augmentor train {out}")


@main.command()
@click.option("-o", "--out", type=PATH, default=Path("demo"), show_default=True, help="Folder to write.")
@answers
def demo(out: Path) -> None:
    """Draw phantoms, train, synthesize and fill on them in minutes, and show it all on one page."""
    from augmentor.demo import demo

    click.echo(f"{demo(out)}: open it in a browser")
