"""The command line: files by their ending, one-sentence errors, exit statuses."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard import __main__ as command_line
from dashboard import specs

ROOT = Path(__file__).resolve().parents[1]
BRAIN = [
    "brain",
    "bundled:tilt_cnn",
    "--recording",
    "simulated-v1?subjects=2&cells=20&stimuli=neuromatch-gratings?n=12",
    "--bootstrap",
    "20",
]
COLUMNS = [
    "network",
    "layer",
    "area",
    "measure",
    "score",
    "sem",
    "ci_low",
    "ci_high",
    "ceiling_low",
    "ceiling_high",
    "n_subjects",
    "n_stimuli",
]


def test_describe_prints_a_table(capsys):
    assert command_line.main(["describe", "bundled:tilt_cnn"]) == 0
    printed = capsys.readouterr().out
    assert "Conv2d" in printed
    assert "6 × 48 × 64" in printed


def test_brain_writes_the_promised_columns_and_the_same_bytes_twice(tmp_path, monkeypatch):
    written = []
    for number in (1, 2):
        monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path / f"home{number}"))
        out = tmp_path / f"brain{number}.csv"
        assert command_line.main([*BRAIN, "--out", str(out)]) == 0
        written.append(out.read_bytes())
    assert written[0] == written[1]
    rows = list(csv.DictReader(written[0].decode().splitlines()))
    assert list(rows[0]) == COLUMNS
    assert {row["n_stimuli"] for row in rows} == {"12"}
    assert all(float(row["ci_low"]) < float(row["score"]) < float(row["ci_high"]) for row in rows)


@pytest.mark.parametrize("ending", ["nc", "json", "svg", "html"])
def test_other_endings(tmp_path, ending):
    out = tmp_path / f"rdm.{ending}"
    command = ["rdm", "bundled:tilt_cnn", "--stimuli", "neuromatch-gratings?n=6", "--layers", "pool,fc"]
    assert command_line.main([*command, "--out", str(out)]) == 0
    assert out.stat().st_size > 100


def test_a_spec_from_a_page_runs(tmp_path, capsys):
    spec = specs.RdmSpec(network="bundled:tilt_cnn", stimuli="neuromatch-gratings?n=4", layers=("fc",))
    file = tmp_path / "rdm.json"
    file.write_text(spec.to_json())
    assert command_line.main(["run", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["describe", "bundled:tilt_cn"], "Did you mean tilt_cnn"),
        (["describe", "torchvision:resnet"], "resnet18"),
        (["describe", "torchvision:alexnet?weights=nowhere.safetensors"], '"nowhere.safetensors"'),
        (["rdm", "bundled:tilt_cnn", "--stimuli", "gratigs"], "Did you mean gratings"),
        (["rdm", "bundled:tilt_cnn", "--stimuli", "gratings", "--metric", "x"], 'no metric "x"'),
        (["rdm", "bundled:tilt_cnn", "--stimuli", "neuromatch-gratings?n=1"], "One stimulus"),
        ([*BRAIN, "--layers", "pol"], "pool"),
        ([*BRAIN, "--bootstrap", "many"], "must be a number"),
        ([*BRAIN, "--out", "brain.docx"], "docx"),
        (["run", "nowhere.json"], "nowhere.json cannot be read"),
        (["fetch", "kriegeskorte"], "kriegeskorte92"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, capsys):
    assert command_line.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("homolog: ")
    assert sentence in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1


def test_a_failure_nobody_foresaw_is_one_sentence_and_status_1(monkeypatch, capsys):
    monkeypatch.setattr("dashboard.compute.compute", lambda spec: 1 / 0)
    assert command_line.main(["describe", "bundled:tilt_cnn"]) == 1
    said = capsys.readouterr().err
    assert "did not foresee" in said
    assert "ZeroDivisionError" not in said


def test_help_lists_every_verb():
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for verb in ("app", "describe", "rdm", "brain", "fetch", "run"):
        assert verb in done.stdout


def test_attention_writes_every_view_and_its_help_is_its_own(tmp_path, capsys):
    asked = ["attention", "bundled:objects_vit", "--stimuli", "objects?n=12&seed=7", "--quiet"]
    for view, ending in (("rollout", "png"), ("heads", "csv"), ("entropy", "nc")):
        out = tmp_path / f"{view}.{ending}"
        assert command_line.main([*asked, "--view", view, "--out", str(out)]) == 0
        assert out.stat().st_size > 1000
    rows = list(csv.DictReader((tmp_path / "heads.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 16
    assert all(0 <= float(row["entropy"]) <= 1 for row in rows)
    assert command_line.main([*asked, "--view", "relevance", "--target", "horse"]) == 2
    assert '"horse"' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command_line.main(["attention", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "every layer with attention" in printed
    assert "about eight" not in printed


def test_attributions_over_a_set_and_through_a_layer_are_written(tmp_path, capsys):
    asked = ["bundled:digits_mlp", "--stimuli", "digits?n=6", "--quiet"]
    out = tmp_path / "set.csv"
    many = [*asked, "--method", "deepshap", "--baseline", "samples", "--background", "4"]
    assert command_line.main(["attribute-set", *many, "--most", "3", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert len(rows) == 3 * 64
    assert {"stimulus", "feature", "value"} <= set(rows[0])
    assert command_line.main(["attribute-set", *asked, "--most", "1"]) == 2
    assert "most must be" in capsys.readouterr().err
    layer = tmp_path / "layer.csv"
    assert command_line.main(["conductance", *asked, "--layer", "relu1", "--out", str(layer)]) == 0
    rows = list(csv.DictReader(layer.read_text("utf-8").splitlines()))
    sizes = [abs(float(row["conductance"])) for row in rows]
    assert len(rows) == 128
    assert sizes == sorted(sizes, reverse=True)
