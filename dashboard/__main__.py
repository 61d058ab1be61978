"""The command line: the same answers as the app, in a file.

Exit status: 0 done, 1 the computation failed, 2 something given cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import __version__, errors, progress, specs

if TYPE_CHECKING:
    import xarray as xr

OPTION_HELP = {
    "network": "network reference, such as bundled:tilt_cnn or torchvision:resnet18?weights=FILE",
    "stimuli": "stimulus reference, such as gratings or folder:PICTURES",
    "recording": "recording, such as kriegeskorte92 or simulated-v1",
    "layers": "names, patterns such as features.*, or all, separated by commas (default: about eight)",
    "layer": "name of one layer (default: the first that fits; for attribution the method's own choice)",
    "orientations": "number of orientations, evenly spaced over 180 degrees",
    "frequencies": "spatial frequencies in cycles per picture with colons between (default: eight)",
    "phases": "number of phases, evenly spaced over 360 degrees",
    "aperture": "diameter of the gratings as a part of the picture's side; 0 for none",
    "contrasts": "contrasts with colons between, at least five (default: full contrast only)",
    "sizes": "diameters with colons between, at least five (default: one size only)",
    "column": "column of the stimuli that is decoded (default: category)",
    "folds": "parts into which stimuli are split",
    "alphas": "ridge penalties per feature with colons between (default: ten from 1e-5 to 1e4)",
    "regression": "how units are predicted",
    "model": "decoder (logistic, svm: classes only)",
    "permutations": "shuffles of the labels behind p",
    "players": "who shares the score: top (channels that matter most), blocks, each channel, or layers",
    "groups": "groups that the channels of the layer are put into",
    "orders": "random orders of the players where there are more than 12",
    "areas": "area names, separated by commas (default: every area)",
    "metric": "dissimilarity between two activation patterns",
    "measure": "similarity between two RDMs",
    "reducer": "what is kept of each layer: all, spatial-mean, subset?n=4096 or projection?n=1024",
    "resample": "what the bootstrap draws again: stimuli, subjects, both, or dual (both, corrected)",
    "bootstrap": "number of bootstrap samples",
    "second": "another network whose layers enter the same tests",
    "second_layers": "layers of the other network, separated by commas (default: about eight)",
    "correction": "what is done about many tests",
    "repeats": "random partitions of the stimuli into folds",
    "controls": "simple models beside the layers, such as pixels,category,factor:orientation",
    "models": "two to four layers or simple models, separated by commas, such as features.12,pixels",
    "shuffle": "what is shuffled: labels of the stimuli, or signs of the subjects",
    "forming": "level from which on a point joins a cluster",
    "split": "test on other stimuli, or on other repeats of the same",
    "bins": "at most so many time bins; neighbours are averaged",
    "area": "name of one area (default: the first)",
    "items": "names of stimuli, separated by commas (default: the first)",
    "method": "attribution method, such as integrated-gradients, grad-cam, occlusion or shapley",
    "target": "what is explained: top, true, a class, CLASS - CLASS for a difference, or LAYER:UNIT",
    "score": "scale of the score of a class",
    "baseline": "what stands for nothing there",
    "background": "number of baselines for noise and samples",
    "steps": "points on the way from the baseline (integrated gradients)",
    "samples": "random draws of sampled methods",
    "most": "how many stimuli, evenly spaced in the set",
    "noise": "standard deviation of SmoothGrad's noise, as a share of the range of the input",
    "segments": "what perturbation methods switch",
    "pieces": "about how many segments for grid and slic",
    "window": "side of the occluding window in pixels (0: an eighth of the picture)",
    "item": "name of the stimulus (default: the first)",
    "view": "what to show",
    "query": "who looks: cls, received (the mean over all), or row,column of a patch (default: cls if it "
    "can)",
    "head": "number of the head, from 0, for the view query-key",
    "weighting": "weights, or weights times the length of the values",
    "parcellation": "regions of the cortex without --labels: folds (Desikan) or centres (Dosenbach)",
    "labels": "regions of fsaverage that were added, as upload:DIGEST (default: those that come along)",
    "regions": "where areas are drawn, AREA=REGION with commas between (default: regions of the same name)",
    "whole": "yes keeps the maps of all queries, no those of one query",
    "seed": "seed of the random numbers; the same seed gives the same bytes",
}
OWN_HELP = {
    (
        "attention",
        "layers",
    ): "names or patterns such as blocks.3.*, separated by commas (default: every layer with attention)",
    ("attribution-set", "items"): "names of stimuli, separated by commas (default: as many as --most says)",
    ("conductance", "layer"): "name of the layer (default: the last one before the answer)",
    ("flexible", "folds"): "parts into which stimuli are split (0: a number that suits their count)",
    ("influence", "layer"): "name of one layer (default: the most similar)",
    ("brain-why", "layer"): "name of one layer (default: the most similar)",
    ("brain-why", "layers"): "layers that share the score, for --players layers (default: about eight)",
    ("reweighted", "layer"): "name of one layer (default: the most similar)",
    ("reweighted", "folds"): "parts into which stimuli are split (0: a number that suits their count)",
    ("cortex", "layer"): "layer whose scores are drawn (default: the best one of each area)",
    ("brain-where", "layer"): "name of one layer (default: the most similar)",
    ("brain-where", "most"): "how many pictures, those with the longest gradient",
    ("time-rsa", "metric"): "dissimilarity at each time (auto: crossnobis with repeats, else correlation)",
    ("time-rsa", "bootstrap"): "resamples of stimuli and subjects behind the intervals; 0 for none",
    ("time-rsa", "permutations"): "shuffles behind the clusters",
    ("inference", "permutations"): "shuffles of the stimulus labels; 0 for none",
    ("alignment", "measure"): "measure of alignment",
    ("alignment", "second"): "reference of the second network, which may be the same",
    ("attention", "target"): "class whose score relevance, ablation and agreement are about, or top (the "
    "likeliest)",
}
"""(kind, setting) -> what the setting means there, where it is not what `OPTION_HELP` says."""
ANSWER_VERBS = {
    "describe": ("network", "layers, shapes and parameters of a network"),
    "rdm": ("rdm", "dissimilarity matrix of each layer"),
    "attention": ("attention", "where the heads of a transformer look in one picture or text"),
    "brain": ("brain", "similarity of each layer with each brain area"),
    "inference": ("inference", "tests of layers against zero, the noise ceiling and each other"),
    "rdm-partition": ("rdm-partition", "what a few models explain of each area alone, and what they share"),
    "combine": ("flexible", "whether several layers together resemble an area more than one of them"),
    "time-rsa": ("time-rsa", "when each layer resembles an area of a recording over time"),
    "time-decode": ("time-decoding", "when it can be read out of an area, and whether one code lasts"),
    "influence": ("influence", "which stimuli carry the similarity of a layer with an area"),
    "brain-why": ("brain-why", "which channels or layers a similarity with an area comes from"),
    "cortex": ("cortex", "where on the cortex the areas lie, coloured by the score of a layer"),
    "brain-where": ("brain-where", "where in the pictures a small change would raise the similarity"),
    "reweigh": ("reweighted", "whether weighing the channels of a layer makes it more like an area"),
    "attribute": ("attribution", "which parts of stimuli raise or lower a score of the network"),
    "attribute-set": ("attribution-set", "what matters to a network over a whole set of stimuli"),
    "conductance": ("conductance", "how much each unit of a layer contributes to a score"),
    "filters": ("filters", "kernels of a layer"),
    "tuning": ("tuning", "tuning of the units of a layer to gratings"),
    "probe": ("probe", "what can be read out of the layers of a network"),
    "decode": ("decoding", "what can be read out of the areas of a recording"),
    "align": ("alignment", "which layers of two networks represent stimuli alike"),
    "encode": ("encoding", "how well each layer predicts the units of a recording"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.ERROR)
    try:
        return int(options.run(options) or 0)
    except errors.HomologError as error:
        return _say(str(error), error.exit_status, options.debug)
    except KeyboardInterrupt:
        return _say("Interrupted. What was finished is stored; the same command goes on from there.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # the promise is one sentence, whatever happens
        if options.debug:
            raise
        return _say("Something failed that we did not foresee. Run again with --debug and report it.", 1)


def _say(sentence: str, status: int, debug: bool = False) -> int:
    if debug and sys.exc_info()[0] is not None:
        logging.getLogger(__name__).exception("details")
    sys.stderr.write(f"homolog: {sentence}\n")
    return status


# --- the grammar -------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dashboard", description="What did a network learn, and does a brain agree?"
    )
    parser.add_argument("--version", action="version", version=f"homolog {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the details of an error")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    app = verbs.add_parser("app", help="open the app in the browser")
    app.add_argument("--port", type=int, default=8501)
    app.set_defaults(run=_app)
    for verb, (kind, sentence) in ANSWER_VERBS.items():
        sub = verbs.add_parser(verb, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
        _add_spec_options(sub, specs.KINDS[kind])
        _add_output_options(sub)
        sub.set_defaults(run=_answer, spec=specs.KINDS[kind])
    fetch = verbs.add_parser("fetch", help="download a recording of the catalogue, by checksum")
    fetch.add_argument("name", nargs="?", default="", help="such as kriegeskorte92; none: list all open data")
    fetch.set_defaults(run=_fetch)
    _add_bring_options(verbs)
    _add_report(verbs)
    run = verbs.add_parser("run", help="answer any spec, as a page exported it")
    run.add_argument("spec_file", metavar="SPEC.json", type=Path)
    _add_output_options(run)
    run.set_defaults(run=_run_file)
    return parser


def _add_bring_options(verbs: Any) -> None:
    add = verbs.add_parser("add", help="bring your own network, stimuli or recording, as the Add page does")
    add.add_argument("files", metavar="FILE", type=Path, nargs="+", help="files that belong together")
    add.add_argument("--as", dest="brings", choices=typing.get_args(specs.Brings), help="what they are")
    add.add_argument("--recipe", type=Path, help="JSON that the Add page exported (default: a guess)")
    add.set_defaults(run=_bring)
    check = verbs.add_parser("check-server", help="say whether the server is safe to expose")
    check.add_argument("--url", default="", help="of the running server (default: as the settings say)")
    check.set_defaults(run=_check_server)


def _add_report(verbs: Any) -> None:
    take = verbs.add_parser(
        "report", help="write a report or a session as slides, page, PDF, notebook or zip"
    )
    take.add_argument("report_file", metavar="REPORT", type=Path, help="report.json of a zip, or a .homolog")
    take.add_argument("--out", type=Path, required=True, help="file to write: .pptx .html .pdf .ipynb .zip")
    take.add_argument(
        "--preset", default="double", help="width of figures: single (85 mm) or double (180 mm)"
    )
    take.add_argument(
        "--points", type=float, default=0.0, help="size of labels in print (0: as on the screen)"
    )
    take.add_argument("--dpi", type=int, default=192, help="pixels to the inch of pictures: 192 or 300")
    take.add_argument("--scheduler", help="address of a Dask scheduler to compute on")
    take.add_argument("--quiet", action="store_true", help="no progress bar")
    take.add_argument("--tell", action="store_true", help=argparse.SUPPRESS)
    take.set_defaults(run=_report)


def _add_spec_options(parser: argparse.ArgumentParser, cls: type[specs.Spec]) -> None:
    """One option per field of the spec; the network, which every verb is about, stands first."""
    for owner, field in cls.flat_fields():
        hint = typing.get_type_hints(owner)[field.name]
        help_text = OWN_HELP.get((cls.kind, field.name), OPTION_HELP[field.name])
        if field.name == "network":
            parser.add_argument("network", metavar="NETWORK", help=help_text)
        elif field.default is dataclasses.MISSING:
            parser.add_argument(f"--{field.name}", required=True, help=help_text)
        elif typing.get_origin(hint) is typing.Literal:
            choices = typing.get_args(hint)
            parser.add_argument(
                f"--{field.name}",
                metavar=field.name.upper(),
                help=f"{help_text}: {', '.join(choices)} (default: {field.default})",
            )
        else:
            shown = "" if field.default in ((), "") else f" (default: {field.default})"
            parser.add_argument(f"--{field.name}", help=help_text + shown)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write: .csv .nc .json .png .svg .pdf .html (default: a table on the terminal)",
    )
    parser.add_argument("--scheduler", help="address of a Dask scheduler to compute on")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


# --- the commands ------------------------------------------------------------------------------------------


def _app(options: argparse.Namespace) -> int:
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "streamlit_app.py",
        "--server.port",
        str(options.port),
    ]
    os.chdir(Path(__file__).resolve().parent.parent)
    os.execv(sys.executable, command)


def _answer(options: argparse.Namespace) -> None:
    cls: type[specs.Spec] = options.spec
    names = {field.name for _, field in cls.flat_fields()}
    query = {name: value for name, value in vars(options).items() if name in names and value is not None}
    _compute_and_write(cls.from_flat_query(query), options)


def _run_file(options: argparse.Namespace) -> None:
    try:
        text = options.spec_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputError(
            f"{options.spec_file.name} cannot be read as text.", "Give the JSON file that a page exported."
        ) from error
    _compute_and_write(specs.from_json(text), options)


def _fetch(options: argparse.Namespace) -> None:
    from dashboard import recordings
    from dashboard.recordings.open_data import OPEN

    if not options.name:
        for entry in OPEN:
            how = f"size {entry.size}, checksum {entry.checksum}" if entry.recordings else "not fetched here"
            sys.stdout.write(f"{entry.name:22} {entry.title}; {entry.species}; {how}; {entry.address}\n")
        return
    with _bar(quiet=False):
        recordings.fetch(options.name)
    sys.stderr.write(f"{options.name} is here.\n")


def _bring(options: argparse.Namespace) -> None:
    from dashboard.bringing import bring

    with errors.collect_cautions() as given, _bar(quiet=False):
        reference, said = bring(options.files, options.brings, options.recipe)
    for caution in given:
        sys.stderr.write(f"note: {caution.message}\n")
    sys.stderr.write(f"{said}\n")
    sys.stdout.write(f"{reference}\n")


def _check_server(options: argparse.Namespace) -> int:
    from dashboard.exposure import check

    findings = check(options.url)
    for finding in findings:
        sys.stdout.write(f"{finding.grade:7} {finding.name}: {finding.said}\n")
    unsafe = sum(finding.grade == "unsafe" for finding in findings)
    verdict = (
        f"{unsafe} settings make it unsafe to expose." if unsafe else "Nothing makes it unsafe to expose."
    )
    sys.stdout.write(f"{verdict}\n")
    return 2 if unsafe else 0


def _compute_and_write(spec: specs.Spec, options: argparse.Namespace) -> None:
    from dashboard.figures import export

    if options.out is not None:
        export.ending_of(options.out)
    with errors.collect_cautions() as given, _bar(options.quiet):
        answer = _remote(spec, options.scheduler) if options.scheduler else _local(spec)
    for caution in given:
        sys.stderr.write(f"note: {caution.message}\n")
    if options.out is None:
        sys.stdout.write(export.table(answer).to_string(index=False) + "\n")
        return
    export.write(options.out, answer)
    sys.stderr.write(f"Wrote {options.out}\n")


def _report(options: argparse.Namespace) -> None:
    from dashboard import compute, store
    from dashboard.report import exporters, matter, session

    ending = exporters.ending_of(options.out)
    look = matter.Options(options.preset, options.points, options.dpi)
    _ = look.look  # a bad width, size or resolution is refused before anything is computed
    found = session.read_report(options.report_file)
    matter.check(found)
    ask = (lambda spec: _remote(spec, options.scheduler)) if options.scheduler else _local
    with errors.collect_cautions(), _told() if options.tell else _bar(options.quiet):
        with progress.part(0.0, 0.5):
            answers = matter.gather(found, ask, compute.stored, progress.report)
        with progress.part(0.5, 1.0):
            made = exporters.EXPORTERS[ending].write(found, answers, look, progress.report)
    try:
        store.write_whole(options.out, made)
    except OSError as error:
        message = f"{options.out.name} cannot be written: {(error.strerror or 'unknown reason').lower()}."
        raise errors.InputError(message, "Choose another folder or file name.") from error
    if not options.tell:
        sys.stderr.write(f"Wrote {options.out}\n")


def _told() -> contextlib.AbstractContextManager[None]:
    """Tell progress as lines of JSON on standard output, for a program that waits."""
    last = 0.0

    def tell(fraction: float, phrase: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.1 or fraction >= 1:
            last = time.monotonic()
            sys.stdout.write(json.dumps({"fraction": fraction, "phrase": phrase}) + "\n")
            sys.stdout.flush()

    return progress.listening(tell)


def _local(spec: specs.Spec) -> xr.Dataset:
    from dashboard.compute import compute

    return compute(spec)


def _remote(spec: specs.Spec, address: str) -> xr.Dataset:
    from dashboard import compute, jobs

    with jobs.connect(address) as engine:
        answer = engine.answer(spec)
    for caution in compute.cautions(answer):
        errors.caution(caution.code, caution.message)
    return answer


# --- progress ----------------------------------------------------------------------------------------------


class _Bar:
    """One line on a terminal, rewritten at most ten times a second; silent elsewhere."""

    width = 28

    def __init__(self, stream: Any, quiet: bool) -> None:
        self.stream = stream
        self.shown = not quiet and stream.isatty()
        self.last = 0.0

    def __call__(self, fraction: float, phrase: str) -> None:
        now = time.monotonic()
        if not self.shown or (now - self.last < 0.1 and fraction < 1):
            return
        self.last = now
        filled = round(self.width * fraction)
        bar = "█" * filled + "░" * (self.width - filled)
        self.stream.write(f"\r\x1b[K{bar} {fraction:4.0%} {phrase[:60]}")
        self.stream.flush()

    def clear(self) -> None:
        if self.shown and self.last:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


@contextlib.contextmanager
def _bar(quiet: bool) -> Iterator[None]:
    """Show progress on standard error inside the block."""
    bar = _Bar(sys.stderr, quiet)
    try:
        with progress.listening(bar):
            yield
    finally:
        bar.clear()


if __name__ == "__main__":
    sys.exit(main())
