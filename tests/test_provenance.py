"""Provenance: the record is complete and private, the command repeats the spec."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import typing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard import __main__, __version__, provenance, specs

BRAIN = specs.BrainSpec(network="torchvision:resnet18?untrained&seed=3", recording="kriegeskorte92")
RDM = specs.RdmSpec(
    network="bundled:tilt_cnn", stimuli="gratings?n=8", layers=("conv1", "a b"), reducer="spatial-mean"
)


def test_the_record_is_complete_plain_and_private():
    record = provenance.record(BRAIN.replace(seed=7), {"network": "ab" * 32}, 1.23456, device="cpu")
    assert record["spec"] == BRAIN.replace(seed=7).to_dict()
    assert specs.from_dict(record["spec"]) == BRAIN.replace(seed=7)
    assert record["inputs"] == {"network": "ab" * 32}
    assert record["seed"] == 7
    assert record["seconds"] == 1.235
    assert record["device"] == "cpu"
    assert record["versions"]["homolog"] == __version__
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["torch"] == importlib.metadata.version("torch")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["created"])).total_seconds()) < 10
    text = json.dumps(record)
    assert json.loads(text) == record
    for private in (platform.node(), str(Path.home()), str(Path.cwd())):
        assert private not in text
    if getpass.getuser() not in ("root",):
        assert getpass.getuser() not in text


def test_a_record_holds_no_other_librarys_text():
    class Version(str):
        __slots__ = ()

    record = provenance.record(RDM, {"network": Version("a")}, 0, device=Version("cuda"))
    assert type(record["device"]) is str
    assert type(record["inputs"]["network"]) is str
    assert record["seed"] is None


def test_versions_import_nothing():
    code = (
        "import sys; from dashboard import provenance as p; v = p.versions();"
        "print('torch' in v, sorted({'torch', 'xarray', 'numpy', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_the_sentence():
    record = provenance.record(BRAIN, {"network": "abcdef0123456789"}, 75.2, device="cuda")
    record["versions"] = {
        "homolog": "0.1.0",
        "commit": "abc",
        "torch": "2.14.1",
        "numpy": "2.4.0",
        "dask": "1",
    }
    record["created"] = "2026-11-20T22:59:01+00:00"
    assert provenance.sentence(record) == (
        "Homolog 0.1.0 (abc) · torch 2.14.1 · numpy 2.4.0 · on cuda · seed 0 · network abcdef01 · "
        "computed in 1 min 15 s · 2026-11-20 22:59 UTC"
    )
    assert provenance.sentence({}) == "Homolog ? · computed in 0.0 s"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (BRAIN, "brain 'torchvision:resnet18?untrained&seed=3' --recording kriegeskorte92"),
        (RDM, "rdm bundled:tilt_cnn --stimuli 'gratings?n=8' --layers 'conv1,a b' --reducer spatial-mean"),
        (specs.NetworkSpec(network="torchvision:vgg11"), "describe torchvision:vgg11"),
        (BRAIN.replace(measure="rho-a", bootstrap=10, seed=-1).replace(areas=("-x",)), None),
        (RDM.replace(network="file:it's; rm -rf $HOME `x`"), None),
    ],
)
def test_the_command_repeats_the_spec(spec, text):
    command = provenance.command(spec, out="my file.csv")
    if text is not None:
        assert command == f"python -m dashboard {text} --out 'my file.csv'"
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "dashboard"]
    options = vars(__main__._parser().parse_args(words[3:]))
    names = typing.get_type_hints(type(spec))
    query = {name: value for name, value in options.items() if name in names and isinstance(value, str)}
    assert type(spec).from_query(query) == spec
    assert str(options["out"]) == "my file.csv"


def test_the_command_of_a_set_names_the_settings_of_its_maps():
    one = specs.AttributionSpec(network="bundled:digits_mlp", stimuli="digits?n=4", method="shapley", seed=2)
    spec = specs.AttributionSetSpec(attribution=one, most=3)
    command = provenance.command(spec, out="set.csv")
    assert command == (
        "python -m dashboard attribute-set bundled:digits_mlp --stimuli 'digits?n=4' --method shapley "
        "--seed 2 --most 3 --out set.csv"
    )
    options = vars(__main__._parser().parse_args(shlex.split(command)[3:]))
    names = {field.name for _, field in specs.AttributionSetSpec.flat_fields()}
    query = {name: value for name, value in options.items() if name in names and isinstance(value, str)}
    assert specs.AttributionSetSpec.from_flat_query(query) == spec
    assert specs.AttributionSetSpec.from_flat_query(spec.to_flat_query()) == spec
    trust = specs.TrustSpec(attribution=one, noise=0.1)
    assert specs.TrustSpec.from_flat_query(trust.to_flat_query()) == trust


def test_kinds_without_a_verb_are_run_from_a_file():
    spec = specs.MapSpec(rdms=RDM)
    assert provenance.command(spec) == "python -m dashboard run map.json"
    options = __main__._parser().parse_args(shlex.split(provenance.command(spec))[3:])
    assert options.spec_file == Path("map.json")


def test_titles_name_files_by_base_name():
    spec = BRAIN.replace(network="torchvision:alexnet?weights=/home/somebody/alexnet.safetensors")
    assert provenance.title(spec) == (
        "Similarity with the brain: torchvision:alexnet?weights=alexnet.safetensors × kriegeskorte92"
    )
    assert provenance.title(specs.MapSpec(rdms=RDM)) == "Map: bundled:tilt_cnn × gratings?n=8"
    assert provenance.shown("folder:/data/faces") == "folder:faces"
    assert provenance.shown(r"torchvision:alexnet?weights=C:\w\a.pt") == "torchvision:alexnet?weights=a.pt"


def test_every_kind_has_a_label_and_every_choice_has_words():
    assert set(provenance.LABELS) == set(specs.KINDS)
    assert set(provenance.METRIC_WORDS) == set(typing.get_args(specs.Metric))
    assert set(provenance.MEASURE_WORDS) == set(typing.get_args(specs.Measure))
    assert set(provenance.RESAMPLE_WORDS) == set(typing.get_args(specs.Resample))


def test_methods_text_says_what_was_done():
    spec = BRAIN.replace(layers=("layer4",), areas=("human IT",), measure="rho-a", bootstrap=500, seed=3)
    text = provenance.methods_text(provenance.record(spec, {}, 1))
    for words in (
        "resnet18",
        "the layer layer4",
        "human IT",
        "rho-a",
        "500 bootstrap samples",
        "seed 3",
        "two factors",
    ):
        assert words in text
    text = provenance.methods_text(provenance.record(RDM, {}, 1))
    assert "the layers conv1, a b, reduced by spatial-mean" in text
    assert "bootstrap" not in text
    text = provenance.methods_text(provenance.record(specs.NetworkSpec(network="n"), {}, 1))
    assert text.startswith("Layers of n are listed with the shapes of their outputs")
    assert "Computed with Homolog" in text
