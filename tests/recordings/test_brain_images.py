"""Brain images with masks, labels and BIDS tables: the numbers of each voxel, and what is said of misfits."""

from __future__ import annotations

import gzip
import json

import nibabel
import numpy as np
import pytest

from dashboard import kept, recordings
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import uploaded
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import look, nifti, open_all
from dashboard.recordings.recipe import Recipe, from_dict

SHAPE = (5, 6, 4)
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2, 0, -5], [0, 0, 2.5, 3], [0, 0, 0, 1]])
BETAS = np.random.default_rng(0).normal(size=(*SHAPE, 12)).astype(np.float32)
LABELS = np.zeros(SHAPE, dtype=np.int16)
LABELS[:2, 1:4, 1] = 1
LABELS[3, :, 2:] = 7
NAMES = [f"picture {i:02d}" for i in range(12)]
EVENTS = "onset\tduration\ttrial_type\tstim_file\n" + "".join(
    f"{4 * i}\t2\t{'face' if i % 2 else 'house'}\t{name}\n" for i, name in enumerate(NAMES)
)
DSEG = "index\tname\tmapping\n0\tbackground\tn/a\n1\tV1\t1\n7\tIT\tn/a\n9\thV4\t4\n"


def image(values: np.ndarray, affine: np.ndarray = AFFINE, packed: bool = False, **header: object) -> bytes:
    made = nibabel.Nifti1Image(values, affine)
    for name, value in header.items():
        made.header[name] = value
    data: bytes = made.to_bytes()
    return gzip.compress(data) if packed else data


@pytest.fixture
def opened(tmp_path):
    def make(**files: bytes | str):
        given = []
        for i, (name, data) in enumerate(files.items()):
            path = tmp_path / str(i)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
            given.append((path, name.replace("__", ".")))
        return open_all(given)

    return make


def parts(source, **changes):
    found = from_dict({**guess(source).to_dict(), **changes})
    return assemble(source, found)


@pytest.mark.parametrize("packed", [False, True])
def test_volumes_become_responses_by_area_under_the_names_of_bids_tables(packed, opened):
    """Against the masker of nilearn and against plain indexing."""
    from nilearn.maskers import NiftiMasker

    bold = nibabel.Nifti1Image(BETAS, AFFINE)
    ending = "__nii__gz" if packed else "__nii"
    source = opened(
        **{
            f"betas{ending}": image(BETAS, packed=packed),
            f"dseg{ending}": image(LABELS, packed=packed),
            "task_events__tsv": EVENTS,
            "dseg__tsv": DSEG,
        }
    )
    found = parts(source)
    assert found.names == tuple(NAMES)
    assert not found.by_position
    assert list(found.responses) == ["V1", "IT"]
    for label, area in ((1, "V1"), (7, "IT")):
        values = found.responses[area]["subject 1"]
        mask = nibabel.Nifti1Image((label == LABELS).astype(np.int8), AFFINE)
        np.testing.assert_array_equal(values, BETAS[label == LABELS].T.astype(np.float64))
        np.testing.assert_allclose(
            values, NiftiMasker(mask, standardize=None).fit_transform(bold), rtol=0, atol=1e-12
        )
    assert list(found.columns["trial_type"][:2]) == ["house", "face"]
    assert any("no voxels of hV4" in note for note in source.notes)


def test_scaled_integers_are_read_with_their_slope(opened):
    stored = np.random.default_rng(1).integers(-300, 300, (*SHAPE, 12)).astype(np.int16)
    data = bytearray(image(stored))
    data[112:120] = np.array([0.5, 3.0], dtype="<f4").tobytes()
    found = parts(opened(b__nii=bytes(data), m__nii=image(LABELS), n__csv="name\n" + "\n".join(NAMES)))
    np.testing.assert_array_equal(found.responses["label 1"]["subject 1"], stored[LABELS == 1].T * 0.5 + 3)


def test_one_map_per_stimulus_is_named_by_its_file_and_json_names_the_labels(opened):
    maps = {f"beta_{i}__nii": image(BETAS[..., i]) for i in (10, 2, 0, 1)}
    names = json.dumps({"1": "V1", "IT": 7})
    found = parts(opened(**maps, labels__nii=image(LABELS), areas__json=names))
    assert found.names == ("beta_0", "beta_1", "beta_2", "beta_10")
    np.testing.assert_array_equal(found.responses["IT"]["subject 1"][3], BETAS[LABELS == 7][:, 10])


def test_masks_of_single_areas_may_overlap_and_are_called_by_their_file(opened):
    one, other = (LABELS > 0).astype(np.float32), (LABELS == 7).astype(np.uint8)
    files = {"sub-1_label-V1_mask__nii": image(one), "IT__nii__gz": image(other, packed=True)}
    found = parts(opened(betas__nii=image(BETAS), **files))
    assert found.responses["V1"]["subject 1"].shape == (12, int(one.sum()))
    np.testing.assert_array_equal(found.responses["IT"]["subject 1"], BETAS[LABELS == 7].T)


def test_subjects_have_their_own_voxels_and_orders_and_runs_are_joined(opened):
    turned = NAMES[::-1]
    small = np.where(LABELS == 1, 1, 0).astype(np.uint8)
    small[0, 1, 1] = 0
    source = opened(
        **{
            "sub-01_run-1_betas__nii": image(BETAS[..., :6]),
            "sub-01_run-2_betas__nii": image(BETAS[..., 6:]),
            "sub-02_betas__nii": image(BETAS),
            "sub-01_label-V1_mask__nii": image((LABELS == 1).astype(np.uint8)),
            "sub-02_label-V1_mask__nii": image(small),
            "sub-01_run-1_events__tsv": "stimulus\tx\n" + "\n".join(f"{n}\t1" for n in NAMES[:6]),
            "sub-01_run-2_events__tsv": "stimulus\tx\n" + "\n".join(f"{n}\tn/a" for n in NAMES[6:]),
            "sub-02_events__tsv": "stimulus\n" + "\n".join(turned),
            "participants__tsv": "participant_id\tage\nsub-01\tn/a\nsub-02\t30\n",
        }
    )
    found = parts(source)
    assert set(found.responses["V1"]) == {"sub-01", "sub-02"}
    np.testing.assert_array_equal(found.responses["V1"]["sub-01"], BETAS[LABELS == 1].T)
    np.testing.assert_array_equal(found.responses["V1"]["sub-02"], BETAS[small == 1].T[::-1])
    assert any("about people" in note for note in source.notes)


def test_subjects_and_names_may_come_from_one_table(opened):
    rows = "".join(f"sub-{i // 6}\t{NAMES[i % 6]}\n" for i in range(12))
    table = "participant_id\tstimulus\n" + rows
    found = parts(opened(b__nii=image(BETAS), m__nii=image(LABELS), t__tsv=table))
    np.testing.assert_array_equal(found.responses["label 7"]["sub-1"], BETAS[LABELS == 7].T[6:])


def test_labels_on_another_grid_are_refused_until_they_may_be_moved(opened):
    fine = np.kron(LABELS, np.ones((2, 2, 2), dtype=np.int16))
    affine = AFFINE.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= AFFINE[:3, :3] @ [0.25, 0.25, 0.25]
    source = opened(b__nii=image(BETAS), m__nii=image(fine, affine), events__tsv=EVENTS)
    assert guess(source).columns == ("trial_type",)  # looking goes on, so that the question can be answered
    assert any("does not lie on the grid" in note for note in source.notes)
    with pytest.raises(
        InputError, match=r"of 1 × 1 × 1.25 mm\) does not lie on the grid of .*nearest voxels"
    ):
        parts(source)
    with collect_cautions() as told:
        found = parts(source, grid="nearest")
    assert [c.code for c in told if c.code == "moved-labels"] == ["moved-labels"]
    np.testing.assert_array_equal(found.responses["label 7"]["subject 1"], BETAS[LABELS == 7].T)
    far = AFFINE.copy()
    far[:3, 3] += 500
    with pytest.raises(InputError, match="label 1, label 7 have no voxels in"):
        opened(b__nii=image(BETAS), m__nii=image(LABELS, far))


def changed(place, value):
    copy = BETAS.copy()
    copy[place] = value
    return copy


def test_missing_and_constant_voxels_and_rows_without_a_name_are_decided_by_the_user(opened):
    voxel = tuple(np.argwhere(LABELS == 7)[2])
    names = "trial_type\n" + "\n".join(["n/a", *NAMES[1:]])

    def of(values, table=names):
        return opened(b__nii=image(values), m__nii=image(LABELS), t__tsv=table)

    named = "trial_type\n" + "\n".join(NAMES)
    with pytest.raises(InputError, match="are missing, in 1 of 12 units"):
        parts(of(changed(voxel, np.nan), named))
    assert parts(of(changed(voxel, np.nan), named), missing="drop-units").responses["label 7"][
        "subject 1"
    ].shape == (12, 11)
    assert parts(of(changed(voxel, 1.0), named), constant="drop").responses["label 7"]["subject 1"].shape == (
        12,
        11,
    )
    with pytest.raises(InputError, match='1 of 12 rows of "trial_type" are n/a, which names no stimulus'):
        parts(of(BETAS))
    with collect_cautions() as told:
        found = parts(of(BETAS), missing="drop-stimuli")
    assert found.names == tuple(NAMES[1:])
    assert "rows-without-name" in {c.code for c in told}
    np.testing.assert_array_equal(found.responses["label 1"]["subject 1"], BETAS[LABELS == 1].T[1:])


BIG = nibabel.Nifti1Header()
BIG.set_data_shape((2000, 2000, 2000))
BIG.set_data_dtype(np.float32)
BIG["magic"], BIG["vox_offset"] = b"n+1", 352


def _without_place() -> bytes:
    data = bytearray(image(BETAS))
    data[280:328] = bytes(48)  # the rows of the affine
    return bytes(data)


MISFITS = {
    "only labels": ({"m__nii": image(LABELS)}, "holds labels"),
    "an empty mask": ({"b__nii": image(BETAS), "m__nii": image(0 * LABELS)}, "is 0 in every voxel"),
    "rows": (
        {"b__nii": image(BETAS), "m__nii": image(LABELS), "e__tsv": "name\na\nb\n"},
        '"e.tsv" has 2 rows for 12 volumes of "b.nii"',
    ),
    "two grids": (
        {"b__nii": image(BETAS), "c__nii": image(BETAS[:3]), "m__nii": image(LABELS)},
        "do not lie on one grid",
    ),
    "another format": ({"b__nii": image(BETAS), "a__json": "[3]"}, "does not name the labels"),
    "labels alone": ({"a__json": '{"1": "V1"}'}, "is JSON, which is read only as names of labels"),
    "complex": ({"b__nii": image(BETAS.astype(np.complex64))}, "holds complex numbers"),
    "five axes": (
        {"b__nii": image(np.zeros((2, 2, 2, 2, 3), np.float32))},
        "has the shape 2 × 2 × 2 × 2 × 3",
    ),
    "too large": ({"b__nii": BIG.binaryblock + bytes(4)}, "would need 30,518 MB"),
    "too large, packed": ({"b__nii__gz": gzip.compress(BIG.binaryblock + bytes(4))}, "would need 30,518 MB"),
    "cut": ({"b__nii": image(BETAS)[:-50]}, "not complete or is damaged"),
    "cut, packed": (
        {"b__nii__gz": image(BETAS, packed=True)[:-9], "m__nii": image(LABELS)},
        "not complete or is damaged",
    ),
    "no gzip": ({"b__nii__gz": b"\x1f\x8b" + bytes(40)}, "not complete or is damaged"),
    "a bomb": (
        {"b__nii__gz": gzip.compress(image(BETAS) + bytes(40 * 2**20)), "m__nii": image(LABELS)},
        "unpacks to more than its header declares",
    ),
    "a pair": ({"b__nii": image(BETAS)[:344] + b"ni1\0" + bytes(400)}, "one half of a pair"),
    "no place": ({"b__nii": _without_place()}, "gives no usable place in space"),
    "twice": (
        {"b__nii": image(BETAS), "m__nii": image(LABELS), "d_dseg__tsv": "index\tname\n1\ta\n1\tb\n"},
        "names a label twice",
    ),
}


@pytest.mark.parametrize("which", MISFITS)
def test_misfits_are_refused_in_our_words(which, opened):
    files, words = MISFITS[which]
    with pytest.raises(InputError) as error:
        parts(opened(**files))
    assert words in error.value.problem
    assert error.value.remedy
    assert len(str(error.value)) < 400


def test_a_bomb_is_not_unpacked_beyond_what_it_declares(tmp_path):
    """128 MB of zeros in a few kB: no more than the header and one piece is ever in memory."""
    import resource

    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(image(BETAS[..., 0]) + bytes(2**27), 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="unpacks to more than"):
        nifti.open_nifti(path, "bomb.nii.gz").image.volume()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_raw_time_series_is_told(opened):
    series = nibabel.Nifti1Image(BETAS, AFFINE)
    series.header.set_xyzt_units("mm", "sec")
    series.header["pixdim"][4] = 2.0
    source = opened(b__nii=series.to_bytes(), m__nii=image(LABELS))
    assert any("2 s apart, so it may be a raw time series" in note for note in source.notes)


def test_images_without_a_mask_give_every_voxel(opened):
    source = opened(b__nii=image(BETAS))
    assert guess(source) == Recipe(values=("responses",), axes=("stimulus", "unit"))
    found = parts(source)
    assert found.responses["all units"]["subject 1"].shape == (12, 120)


def test_the_way_through_a_process_of_its_own(tmp_path, monkeypatch):
    """As the command line adds them: kept, looked at, read, and the areas are there."""
    from dashboard.bringing import bring

    files = {
        "betas.nii.gz": image(BETAS, packed=True),
        "rois.nii.gz": image(LABELS, packed=True),
        "events.tsv": EVENTS.encode(),
        "rois_dseg.tsv": DSEG.encode(),
    }
    paths = []
    for name, data in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    reference, said = bring(paths)
    assert said == "12 stimuli in V1, IT."
    recording = recordings.load(reference)
    assert recording.units == {"V1": 6, "IT": 12}
    np.testing.assert_array_equal(recording.responses["V1"][0], BETAS[LABELS == 1].T.astype(np.float64))
    assert kept.opened(reference).recipe["area"] == "area"


def test_looking_reads_no_volume_of_the_responses(tmp_path, monkeypatch):
    path, mask = tmp_path / "a", tmp_path / "b"
    path.write_bytes(image(BETAS))
    mask.write_bytes(image(LABELS))
    read = []
    blocks = nifti.Image.blocks
    monkeypatch.setattr(nifti.Image, "blocks", lambda self: read.append(self.name) or blocks(self))
    look([[str(path), "betas.nii"], [str(mask), "mask.nii"]])
    assert read == ["mask.nii"]


def test_several_files_name_their_own_rows(tmp_path):
    """Two subjects in two files whose stimuli come in different orders: each is joined by its own names."""
    values = np.random.default_rng(3).normal(size=(12, 5))
    for subject, order in (("anna", np.arange(12)), ("bert", np.arange(12)[::-1])):
        names = np.array(NAMES)[order]
        np.savez(tmp_path / f"{subject}.npz", responses=values[order], names=names)
    files = [(tmp_path / f"{s}.npz", f"{s}.npz") for s in ("anna", "bert")]
    recipe = Recipe(
        values=("anna.npz: responses", "bert.npz: responses"),
        axes=("stimulus", "unit"),
        each="area",
        names="anna.npz: names",
    )
    with pytest.raises(InputError, match="two sets of responses"):
        assemble(open_all(files), recipe)
    one = Recipe(values=("bert.npz: responses",), axes=("stimulus", "unit"), names="anna.npz: names")
    found = assemble(open_all(files), one)
    place = found.names.index(NAMES[0])
    np.testing.assert_array_equal(found.responses["all units"]["subject 1"][place], values[0])


def test_long_and_wide_bids_tables_with_missing_values_are_read(opened):
    """Derivative tables as BIDS has them: tabs, n/a, participant_id; no image beside them."""
    rng = np.random.default_rng(4)
    responses = rng.normal(size=(2, 6, 3))
    rows = [
        f"sub-0{s + 1}\t{NAMES[i]}\tvox{v}\t{responses[s, i, v]!r}"
        for s in range(2)
        for i in range(6)
        for v in range(3)
    ]
    rows[4] = rows[4].rpartition("\t")[0] + "\tn/a"
    head = "participant_id\ttrial_type\tvoxel\tbeta"
    source = opened(long__tsv="\n".join([head, *rows]).replace("np.float64(", "").replace(")", ""))
    found = parts(source, missing="drop-units")
    np.testing.assert_array_equal(found.responses["all units"]["sub-02"], responses[1])
    np.testing.assert_array_equal(found.responses["all units"]["sub-01"], responses[0][:, [0, 2]])
    wide = "stim_file\tV1_1\tV1_2\n" + "".join(
        f"{NAMES[i]}\t{responses[0, i, 0]:.17g}\t{'n/a' if i == 3 else f'{responses[0, i, 1]:.17g}'}\n"
        for i in range(6)
    )
    found = parts(opened(wide__tsv=wide), missing="drop-stimuli")
    assert found.names == tuple(NAMES[i] for i in (0, 1, 2, 4, 5))
    np.testing.assert_array_equal(
        found.responses["all units"]["subject 1"], responses[0][[0, 1, 2, 4, 5], :2]
    )


def test_looks_and_digests_differ_for_other_images(tmp_path):
    upload = kept.keep([("b.nii", image(BETAS)), ("m.nii", image(LABELS))], "s")
    other = kept.keep([("b.nii", image(changed((0, 0, 0, 0), 9.0))), ("m.nii", image(LABELS))], "s")
    assert upload.identity != other.identity
    assert uploaded.look(upload.reference)["arrays"][0]["shape"] == [12, 18]
