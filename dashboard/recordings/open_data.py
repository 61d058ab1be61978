"""Open data sets that labs ask for: which are fetched here, and what to do about those that are not."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.errors import InputError

NOT_TOLD = "not told"


@dataclass(frozen=True)
class OpenData:
    """A public data set.

    Attributes
    ----------
    name : str
        What it is called here.
    title, species, signal, stimuli : str
        Whose data, what was measured, and what was shown.
    address : str
        Where it lies.
    size, checksum, terms : str
        As its source tells; "not told" where it does not.
    why_not : str
        Why it is not fetched here, and what to do, in one or two sentences; ``""`` where it is.
    recordings : tuple of str
        The recordings that it gives, where it is fetched.
    """

    name: str
    title: str
    species: str
    signal: str
    stimuli: str
    address: str
    size: str = NOT_TOLD
    checksum: str = NOT_TOLD
    terms: str = NOT_TOLD
    why_not: str = ""
    recordings: tuple[str, ...] = ()


_PICKLED = "Its files can run code when opened. Convert them to .npz where you trust them, and add that here."
_ACCOUNT = "Its source asks for an account or an agreement. Get it there, and add your files here."
_LARGE = "It is too large to be fetched as a whole. Get the part that you need, and add it here."
_ASKED = "What its files hold must be said. Get them from the address, and answer the questions here."

_FIRST = "not told; the SHA-256 of the first fetch is kept and compared"
_STRINGER = "23,589 neurons of mouse V1, two-photon calcium"

OPEN: tuple[OpenData, ...] = (
    OpenData(
        "kriegeskorte92",
        "92 objects (Kriegeskorte et al. 2008)",
        "human, macaque",
        "fMRI and neurons of IT, RDMs; judgements",
        "92 pictures of objects",
        "https://github.com/rsagroup/rsatoolbox",
        size="5.1 MB",
        checksum="SHA-256 of each file",
        terms="repository MIT; the data have no licence of their own",
        recordings=("kriegeskorte92",),
    ),
    OpenData(
        "stringer-orientations",
        "Orientations, bins of 1 degree (Stringer et al. 2021)",
        "mouse",
        _STRINGER,
        "360 gratings",
        "https://osf.io/683xc/download",
        checksum="MD5",
        recordings=("stringer-orientations",),
    ),
    OpenData(
        "stringer-halves",
        "Orientations, halves of the trials (Stringer et al. 2021)",
        "mouse",
        _STRINGER,
        "60 gratings",
        "https://osf.io/p3aeb/download",
        checksum="MD5",
        recordings=("stringer-halves",),
    ),
    OpenData(
        "stringer-tuning",
        "Orientations, bins of 5 degrees (Stringer et al. 2021)",
        "mouse",
        _STRINGER,
        "gratings, 36 bins of orientation",
        "https://github.com/rohanaryagondi/Beng2800Project",
        size="6.1 MB",
        checksum=_FIRST,
        recordings=("stringer-tuning",),
    ),
    OpenData(
        "stringer-trials",
        "Orientations, single trials (Stringer et al. 2021)",
        "mouse",
        "1,000 selected neurons of mouse V1, two-photon calcium",
        "4,598 gratings",
        "https://github.com/rohanaryagondi/Beng2800Project",
        size="9 MB",
        checksum=_FIRST,
        recordings=("stringer-trials",),
    ),
    OpenData(
        "kay",
        "Natural images (Kay et al. 2008)",
        "human",
        "fMRI, 8,428 voxels of V1 to lateral occipital cortex",
        "1,750 and 120 grey pictures",
        "https://osf.io/ymnjv/download",
        checksum=_FIRST,
        terms="the original is at CRCNS and needs an account",
        recordings=("kay-training", "kay-validation"),
    ),
    OpenData(
        "things-similarity",
        "THINGS, dimensions of similarity (Hebart et al. 2020)",
        "human",
        "behaviour: 49 dimensions of judgements",
        "1,854 concepts",
        "https://osf.io/4pgk8",
        size="below 1 MB",
        checksum=_FIRST,
        terms="judgements CC BY 4.0",
        recordings=("things-similarity",),
    ),
    OpenData(
        "stringer-raw",
        "Orientations, all trials and neurons (Stringer et al. 2021)",
        "mouse",
        _STRINGER,
        "4,598 gratings",
        "https://osf.io/ny4ut/download",
        size="937 MB",
        why_not=_PICKLED,
    ),
    OpenData(
        "stringer-natural",
        "Natural images (Stringer et al.)",
        "mouse",
        "10,000 neurons of V1, two-photon calcium",
        "2,800 pictures, twice",
        "figshare 6845348",
        size="gigabytes",
        why_not=_LARGE,
    ),
    OpenData(
        "stringer-spontaneous",
        "Spontaneous activity (Stringer et al.)",
        "mouse",
        "10,000 neurons, two-photon calcium",
        "none; a video of the face",
        "figshare 6163622",
        why_not=_PICKLED,
    ),
    OpenData(
        "cichy",
        "92 objects over time (Cichy et al. 2014)",
        "human",
        "fMRI and MEG, RDMs",
        "the 92 pictures of kriegeskorte92",
        "https://osf.io/7vpyh/download",
        why_not=_ASKED,
    ),
    OpenData(
        "algonauts-2021",
        "Videos (Algonauts 2021)",
        "human",
        "fMRI, 9 regions and the whole brain",
        "videos of 3 s",
        "through the loaders of the Neuromatch course",
        terms="not commercial, not to be passed on",
        why_not=_PICKLED,
    ),
    OpenData(
        "bonner-2017",
        "Scenes (Bonner and Epstein 2017)",
        "human",
        "fMRI of scene regions, RDMs; behaviour",
        "indoor scenes",
        "through the loaders of the Neuromatch course and Net2Brain",
        why_not=_ASKED,
    ),
    OpenData(
        "hcp",
        "Tasks and rest (Human Connectome Project)",
        "human",
        "fMRI, 360 parcels",
        "tasks",
        "https://osf.io/2y3fw/download",
        terms="of the Human Connectome Project",
        why_not=_ASKED,
    ),
    OpenData(
        "steinmetz",
        "Decisions (Steinmetz et al.)",
        "mouse",
        "Neuropixels, 39 sessions",
        "gratings of several contrasts",
        "https://osf.io/agvxh/download",
        size="hundreds of MB",
        why_not=_PICKLED,
    ),
    OpenData(
        "allen-behavior",
        "Visual Behavior, a part (Allen Institute)",
        "mouse",
        "two-photon calcium",
        "8 pictures, change detection",
        "https://ndownloader.figshare.com/files/28470255",
        terms="of the Allen Institute",
        why_not=_ASKED,
    ),
    OpenData(
        "allen-coding",
        "Visual Coding (Allen Institute)",
        "mouse",
        "two-photon calcium and Neuropixels, 6 areas",
        "118 natural scenes, gratings, movies",
        "DANDI 000728 and 000021",
        size="gigabytes a session",
        terms="of the Allen Institute",
        why_not="It is too large as a whole. Get the NWB file of one session from DANDI, and add it here.",
    ),
    OpenData(
        "mne-92",
        "92 objects, raw (MNE visual_92_categories)",
        "human",
        "MEG",
        "the 92 pictures of kriegeskorte92",
        "fetcher of MNE-Python",
        why_not="Raw sensor data are not read. Average them with MNE-Python, save .npz, and add that here.",
    ),
    OpenData(
        "things-data",
        "THINGS-data",
        "human",
        "fMRI, MEG, 4.7 million judgements",
        "1,854 concepts",
        "doi 10.25452/figshare.plus.c.6161151",
        size="hundreds of GB",
        why_not=_LARGE,
    ),
    OpenData(
        "tvsd",
        "THINGS pictures (TVSD)",
        "macaque",
        "multi-unit activity of V1, V4 and IT, 2 monkeys",
        "22,000 pictures",
        "gin.g-node.org/paolo_papale/TVSD",
        size="large",
        why_not=_LARGE,
    ),
    OpenData(
        "nsd",
        "NSD, Algonauts 2023",
        "human",
        "fMRI, 7 T",
        "pictures of COCO",
        "asks for an agreement",
        size="hundreds of GB",
        terms="agreement",
        why_not=_ACCOUNT,
    ),
    OpenData(
        "majajhong",
        "MajajHong2015 (Brain-Score)",
        "macaque",
        "neurons of V4 and IT",
        "3,200 pictures",
        "storage of Brain-Score",
        why_not="Get the public half through Brain-Score, save it as netCDF, and add that here.",
    ),
    OpenData(
        "gallant-vim-2",
        "Movies (Gallant vim-2)",
        "human",
        "fMRI",
        "movies",
        "CRCNS",
        size="3.8 GB and 3 × 2.9 GB",
        terms="account at CRCNS",
        why_not=_ACCOUNT,
    ),
    OpenData(
        "miyawaki",
        "Patterns (Miyawaki et al. 2008)",
        "human",
        "fMRI of V1 and other areas",
        "patterns of 10 × 10",
        "fetch_miyawaki2008 of nilearn",
        size="153 MB",
        why_not="nilearn fetches it. Add its images, masks and tables here as brain images.",
    ),
)
"""Every data set of the list, those that are fetched here first."""


def fetched() -> dict[str, OpenData]:
    """Return the data sets that are fetched here, by name."""
    return {entry.name: entry for entry in OPEN if entry.recordings}


def refuse(name: str) -> None:
    """Say about a data set of the list that is not fetched here why, and what to do.

    Raises
    ------
    InputError
        When it is one of those.
    """
    found = next((entry for entry in OPEN if entry.name == name and entry.why_not), None)
    if found is not None:
        first, _, rest = found.why_not.partition(". ")
        where = f"{found.title} is not fetched here: {first[0].lower()}{first[1:].removesuffix('.')}."
        raise InputError(where, f"{rest} Address: {found.address}.".strip())
