"""Guided examples: ready sessions, built of questions, two sentences each and something to try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard import recordings, reference
from dashboard.errors import HomologError
from dashboard.report import edits
from dashboard.report.model import Item, Panel, Report, Section, Text
from dashboard.specs import AreaRdmSpec, BrainSpec, DecodingSpec, EncodingSpec, RdmSpec, Spec

GRATINGS_CNN = "bundled:tilt_cnn"
OBJECTS_CNN = "bundled:objects_cnn"
V1_ENCODER = "bundled:v1_encoder"
V1 = "simulated-v1"
IT = "kriegeskorte92"


@dataclass(frozen=True)
class Guide:
    """A ready session.

    Attributes
    ----------
    title, sentence : str
        What it is called and shows.
    choices : tuple of (str, str)
        What the sidebar holds while one follows it.
    build : callable
        Makes the items.
    needs : str
        A recording that must be here first, or nothing.
    """

    title: str
    sentence: str
    choices: tuple[tuple[str, str], ...]
    build: Callable[[], tuple[Item, ...]]
    needs: str = ""

    def report(self) -> Report:
        """Return the report; its figures are drawn once their answers are there."""
        return Report(self.title, self.build())

    def why_not(self) -> str:
        """Say what is missing and how to get it, or nothing."""
        if not self.needs:
            return ""
        name = reference.parse(self.needs).name
        try:
            present = any(entry.reference == name and entry.present for entry in recordings.catalogue())
        except HomologError as error:
            return str(error)
        if present:
            return ""
        return f"Its recording is not here yet: fetch it once with python -m dashboard fetch {name}."


def _step(title: str, spec: Spec, name: str, page: str, words: str, question: str, *beside: Spec) -> Panel:
    caption = f"{words}\n\n**Try:** {question}"
    return Panel(edits.new_id(), title, caption, spec, name, page=page, beside=beside)


def _heading(title: str) -> Section:
    return Section(edits.new_id(), title)


def neuromatch() -> tuple[Item, ...]:
    """Decode, encode and compare in V1: the three questions of a course day, on simulated neurons."""
    layers = ("pool", "fc")
    return (
        Text(
            edits.new_id(),
            "Three ways to ask what neurons of V1 have in common with a small network that was trained to "
            "tell the tilt of a grating. The neurons are **simulated**, so all runs offline; the methods are "
            "those of the deep-learning day of [Neuromatch Academy](https://compneuro.neuromatch.io).",
        ),
        _heading("Decode"),
        _step(
            "Which orientation did V1 see?",
            DecodingSpec(recording=V1, column="orientation", permutations=100),
            "decoding",
            "decoding",
            "A linear readout is trained on the responses to some gratings and asked about others. Shown is "
            "the error in degrees, and chance comes from shuffled labels.",
            "how many neurons are enough? Open it on its page and look at the neuron-dropping curve.",
        ),
        _heading("Encode"),
        _step(
            "Which layer predicts the neurons?",
            EncodingSpec(network=GRATINGS_CNN, recording=V1, bootstrap=100),
            "encoding",
            "encoding",
            "Each neuron is predicted from the units of each layer by ridge regression, on gratings that the "
            "regression did not see. The noise ceiling says how much of a neuron could be predicted at all.",
            "does the untrained twin do worse? Choose *Network* under Edit and set it side by side.",
        ),
        _step(
            "And a network that learned to be V1?",
            EncodingSpec(network=V1_ENCODER, recording=V1, bootstrap=100),
            "encoding",
            "encoding",
            "This one was trained on other gratings to give the responses of the first simulated animal; for "
            "the other animals its units are only features. It shows how far a network comes when V1 itself "
            "was its task.",
            "which of its layers predicts best, and is it the one that was trained to be the neurons?",
        ),
        _heading("Compare"),
        _step(
            "Do both tell the same gratings apart?",
            RdmSpec(network=GRATINGS_CNN, stimuli=f"recording:{V1}", layers=layers),
            "rdm",
            "rdms",
            "Each cell is how differently a layer, or the simulated neurons of four animals on average, "
            "respond to two gratings. Near the diagonal stand those of one orientation, so dark blocks along "
            "it mean that orientation is what is kept.",
            "which gratings does *pool* confuse that V1 tells apart? Present it and point at cells.",
        ),
        _step(
            "Which layer looks most like V1?",
            BrainSpec(network=GRATINGS_CNN, recording=V1),
            "brain",
            "brain",
            "Every layer's matrix is compared with that of each animal, and the grey band is what a perfect "
            "model could reach (Nili et al., 2014). Intervals hold for new gratings and new animals.",
            "does the ranking survive another measure? Choose *Measure* under Edit, then *rho-a*.",
        ),
    )


def objects92() -> tuple[Item, ...]:
    """Ask which layer looks like IT, with the 92 objects of Kriegeskorte et al. (2008)."""
    brain = BrainSpec(network=OBJECTS_CNN, recording=IT)
    twin = reference.untrained(OBJECTS_CNN)
    return (
        Text(
            edits.new_id(),
            "Ninety-two pictures of faces, bodies and things, seen by four people and two monkeys "
            "(Kriegeskorte et al., 2008), and a small network that was trained on drawn objects. Does any of "
            "its layers order the pictures as inferior temporal cortex does?",
        ),
        _heading("What they tell apart"),
        _step(
            "What IT tells apart",
            AreaRdmSpec(recording=IT),
            "area-rdms",
            "rdms",
            "In both species animate and inanimate objects form two blocks, and faces stand out. These are "
            "the matrices that were published, averaged over subjects.",
            "which pictures of animals does monkey IT put among the things?",
        ),
        _step(
            "What two layers tell apart",
            RdmSpec(network=OBJECTS_CNN, stimuli=f"recording:{IT}", layers=("block1", "block4")),
            "rdm",
            "rdms",
            "An early and a late layer see the same 92 pictures, and IT stands beside them. The early layer "
            "orders them by shape and colour, which need not be how IT does it.",
            "is there a trace of the two blocks in *block4*?",
        ),
        _heading("What they share"),
        _step(
            "Which layer looks like IT?",
            brain,
            "brain",
            "brain",
            "Each layer is compared with each subject, with intervals that hold for new pictures and new "
            "subjects. Where an interval includes zero, no layer can be said to resemble the area.",
            "would a network trained on photographs do better? Type *torchvision:squeezenet1_0* as network.",
        ),
        _step(
            "Is it the training?",
            brain,
            "brain",
            "brain",
            "The same network with random weights stands beside it, on the same scale. What the untrained "
            "twin reaches is owed to its architecture, not to what it learned.",
            "which layers gain most from training, and does any lose?",
            BrainSpec(network=twin, recording=IT),
        ),
    )


GUIDES: dict[str, Guide] = {
    "neuromatch": Guide(
        "The Neuromatch deep-learning day in Homolog",
        "Decode orientation from V1, predict its neurons from a network, and compare what both tell apart. "
        "Simulated neurons; needs nothing.",
        (("network", GRATINGS_CNN), ("stimuli", "gratings"), ("recording", V1)),
        neuromatch,
    ),
    "objects92": Guide(
        "92 objects: which layer looks like IT?",
        "Human and monkey IT beside a small network and its untrained twin, on the pictures of Kriegeskorte "
        "et al. (2008).",
        (("network", OBJECTS_CNN), ("stimuli", "objects"), ("recording", IT)),
        objects92,
        needs=IT,
    ),
}
"""Name of the example -> what it holds."""
