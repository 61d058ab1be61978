"""From the words of a spec to what attribution methods are given: stimulus, baselines, target and score.

Imports torch: for workers and notebooks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from dashboard import networks, reference, stimuli
from dashboard.analyses import predictions
from dashboard.analyses.seen import as_seen
from dashboard.errors import InputError, collect_cautions, unknown
from dashboard.methods.attribution.base import Explained, Truncated
from dashboard.networks import Network, capture
from dashboard.networks.layers import first_tensor
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    from dashboard.methods.attribution.trust import MaskShare
    from dashboard.networks import Layer
    from dashboard.specs import AttributionSpec

Outputs = torch.Tensor
Score = Callable[[Outputs], Outputs]

MOST_PREFIX = 8
"""Most class, distillation and register tokens before the patches of a transformer."""

MEAN_OF = 60
"""Pictures over which the mean colour is taken: evenly spaced in the set."""

SATURATED = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log odds are taken."""

NEUTRAL = ("[MASK]", "<mask>", "[UNK]", "<unk>", "[PAD]", "<pad>")
"""Tokens that may stand for "no word here", the best first."""

ORIENTATION = "orientation"
"""What the card of a network says that it answers with: cosine and sine of twice an orientation."""

CANDIDATES = 10
"""Likeliest classes that an answer tells."""


@dataclass(frozen=True)
class Target:
    """What is explained.

    Attributes
    ----------
    words : str
        As pages say it: ``logit of heart``.
    unit : str
        Unit of the score.
    score : callable
        From the outputs of `module` to one number per row.
    layer : str
        Layer at which the network ends, for a unit inside it; ``""`` for the whole network.
    fixed : str
        The same score in the words of a spec, whatever another network answers; ``""`` when those asked with
        are.
    """

    words: str
    unit: str
    score: Score
    layer: str = ""
    fixed: str = ""


@dataclass(frozen=True, eq=False)
class Question:
    """One stimulus made ready to be explained.

    Attributes
    ----------
    explained : Explained
    name : str
        Of the stimulus.
    target : Target
    likeliest : tuple of (str, float)
        Classes and probabilities, the likeliest first; empty without classes.
    truth : str
        The true class; ``""`` where it is not known.
    picture : np.ndarray or None
        (height, width, 3) uint8: the picture as the network sees it; of a table the picture itself.
    baseline : np.ndarray or None
        The first baseline likewise.
    tokens : tuple of str
        Of a text.
    """

    explained: Explained
    name: str
    target: Target
    likeliest: tuple[tuple[str, float], ...] = ()
    truth: str = ""
    picture: np.ndarray | None = None
    baseline: np.ndarray | None = None
    tokens: tuple[str, ...] = ()


_MOST_KEPT = 4
_kept: OrderedDict[tuple[Any, ...], Question] = OrderedDict()
_keeping = threading.Lock()


def question(spec: AttributionSpec, item: str) -> Question:
    """Return one stimulus made ready; the last few are kept, so that methods share a forward pass.

    Raises
    ------
    InputError
        When the stimulus or the target does not exist, the network does not read such stimuli, or the
        background is larger than the set.
    """
    key = (
        networks.identity(spec.network),
        stimuli.identity(spec.stimuli),
        item,
        spec.target,
        spec.score,
        spec.baseline,
        spec.background,
        spec.seed,
    )
    with _keeping:
        found = _kept.pop(key, None)
        if found is None:
            found = _question(spec, item)
        _kept[key] = found
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return found


def _question(spec: AttributionSpec, item: str) -> Question:
    network, shown = networks.load(spec.network), stimuli.load(spec.stimuli)
    place = item_place(shown, item)
    network.check([shown.item(place)])
    where = networks.device()
    module = capture.private(network.module, where)
    make = _text if network.input_kind == "text" else _picture
    base = make(network, shown, place, spec, module, where)
    if not bool(torch.isfinite(base.explained.inputs.float()).all()):
        message = f'"{shown.names[place]}", made ready for {network.title}, holds values that are no numbers.'
        raise InputError(message, "Check the picture and the preprocessing.")
    with torch.inference_mode():
        outputs = first_tensor(base.explained.module(base.explained.inputs))
    likeliest, truth = _said(network, shown, place, outputs)
    target = make_target(network, spec, outputs, likeliest, truth)
    explained = base.explained
    if target.layer:
        ended = Truncated(explained.module, target.layer)
        embedding = f"network.{explained.embedding}" if explained.embedding else ""
        explained = _replaced(explained, module=ended, embedding=embedding)
    explained = _replaced(explained, score=target.score)
    return Question(explained, base.name, target, likeliest, truth, base.picture, base.baseline, base.tokens)


def item_place(shown: Stimuli, item: str) -> int:
    """Return the position of a stimulus; of ``""`` the first."""
    if not item:
        return 0
    if item not in shown.names:
        raise unknown("stimulus", item, shown.names)
    return shown.names.index(item)


def _replaced(explained: Explained, **changes: Any) -> Explained:
    import dataclasses

    return dataclasses.replace(explained, **changes)


# --- pictures and tables ---------------------------------------------------------------------------


def _picture(
    network: Network,
    shown: Stimuli,
    place: int,
    spec: AttributionSpec,
    module: nn.Module,
    where: torch.device,
) -> Question:
    own = shown.picture(place)
    others = baseline_pictures(shown, place, spec)
    inputs, baselines = network.prepare([own]), network.prepare(others)
    kind: Literal["image", "table"] = "image" if inputs.dim() == 4 else "table"
    grid, prefix = patch_grid(network.layers) if kind == "image" else (None, 0)
    explained = Explained(
        module=module,
        inputs=inputs.to(where),
        baselines=baselines.to(where),
        score=lambda outputs: outputs.flatten(1).mean(1),
        kind=kind,
        grid=grid,
        prefix=prefix,
    )
    seen = as_seen(network, inputs[0], own)
    return Question(
        explained,
        shown.names[place],
        Target("", "", explained.score),
        picture=seen,
        baseline=as_seen(network, baselines[0], others[0]),
    )


def baseline_pictures(shown: Stimuli, place: int, spec: AttributionSpec) -> list[np.ndarray]:
    """Return the pictures that stand for "nothing there", (height, width, 3) uint8 each.

    One black, one of the mean colour of the set, or one blurred copy (Gaussian, a tenth of the longer side);
    or as many as the background is large of uniform noise, or of other stimuli of the set.

    Raises
    ------
    InputError
        When the background is not positive, or larger than what the set has besides the stimulus.
    """
    own = shown.picture(place)
    rng = np.random.default_rng(spec.seed)
    if spec.background < 1:
        message = f"A background of {spec.background} stimuli is empty."
        raise InputError(message, "Choose at least 1.")
    if spec.baseline == "black":
        return [np.zeros_like(own)]
    if spec.baseline == "mean":
        return [np.broadcast_to(_mean_colour(shown), own.shape).copy()]
    if spec.baseline == "blur":
        return [_blurred(own)]
    if spec.baseline == "noise":
        return [rng.integers(0, 256, own.shape, dtype=np.uint8) for _ in range(spec.background)]
    if spec.background > len(shown) - 1:
        message = (
            f"The background of {spec.background} stimuli is larger than the set: besides the one that is "
            f"explained, {shown.title} has {len(shown) - 1}."
        )
        raise InputError(message, "Choose a smaller background, or a larger set.")
    others = np.delete(np.arange(len(shown)), place)
    return [shown.picture(int(k)) for k in np.sort(rng.choice(others, spec.background, replace=False))]


def _mean_colour(shown: Stimuli) -> np.ndarray:
    """Return the mean colour of the set, (3,) uint8, over at most `MEAN_OF` pictures."""
    places = np.unique(np.linspace(0, len(shown) - 1, MEAN_OF).round().astype(int))
    colours = [shown.picture(int(k)).reshape(-1, 3).mean(axis=0) for k in places]
    return np.rint(np.mean(colours, axis=0)).astype(np.uint8)


def _blurred(picture: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageFilter

    radius = max(picture.shape[:2]) / 10
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def patch_grid(layers: Sequence[Layer]) -> tuple[tuple[int, int] | None, int]:
    """Return rows and columns of the patches of a transformer, and how many tokens stand before them.

    The tokens of a layer are the patches when an earlier layer gave a map with (nearly) as many places.
    """
    places: list[tuple[int, int]] = []
    for layer in layers:
        if len(layer.shape) == 3 and layer.channel_axis == 0 and min(layer.shape[1:]) > 1:
            places.append((layer.shape[1], layer.shape[2]))
        elif len(layer.shape) == 2 and layer.kind == "LayerNorm" and places:
            rows, columns = places[-1]
            prefix = layer.shape[0] - rows * columns
            return ((rows, columns), prefix) if 0 <= prefix <= MOST_PREFIX else (None, 0)
    return None, 0


# --- texts -----------------------------------------------------------------------------------------


class Unpadded(nn.Module):
    """A text network that is given token numbers alone; it adds the mask that says that all of them count."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (n, n_tokens) int64 -> what the network gives."""
        found: torch.Tensor = self.network(torch.stack([tokens, torch.ones_like(tokens)], dim=1))
        return found


def _text(
    network: Network,
    shown: Stimuli,
    place: int,
    spec: AttributionSpec,
    module: nn.Module,
    where: torch.device,
) -> Question:
    assert network.text is not None  # noqa: S101 - texts go to text networks only
    if spec.baseline != "mean":
        message = f'A text has no baseline "{spec.baseline}": its words are replaced by a neutral token.'
        raise InputError(message, "Leave the baseline at mean.")
    text = shown.text(place)
    batch = network.prepare([text])
    masked = batch.dim() == 3
    numbers = (batch[:, 0] if masked else batch)[:, network.text.mask(batch)[0]]
    words, special = _tokens(network, text, numbers[0])
    neutral = torch.where(torch.tensor(special), numbers[0], _neutral(network, numbers[0]))[None]
    explained = Explained(
        module=Unpadded(module) if masked else module,
        inputs=numbers.to(where),
        baselines=neutral.to(where),
        score=lambda outputs: outputs.flatten(1).mean(1),
        kind="text",
        embedding=("network." if masked else "") + _embedding(network, module, numbers, masked),
        special=special,
    )
    return Question(explained, shown.names[place], Target("", "", explained.score), tokens=words)


def _numbers(network: Network, text: str) -> torch.Tensor:
    assert network.text is not None  # noqa: S101
    batch = network.prepare([text])
    return (batch[:, 0] if batch.dim() == 3 else batch)[0, network.text.mask(batch)[0]]


def _tokens(network: Network, text: str, numbers: torch.Tensor) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Return the tokens as people read them, and which are special: those that an empty text has, too."""
    assert network.text is not None  # noqa: S101
    always = set(_numbers(network, "a").tolist()) & set(_numbers(network, "zz, the").tolist())
    neutral = int(_neutral(network, numbers))
    special = tuple(int(k) in always and int(k) != neutral for k in numbers)
    if network.text.words is not None:
        words = network.text.words(text)[: len(numbers)]
    else:
        plain = [w for w in text.lower().replace(",", " , ").split() if w]
        words = tuple("[CLS]" if s else "" for s in special)
        rest = iter(plain)
        words = tuple(w or next(rest, "?") for w in words)
    return tuple(words), special


def _neutral(network: Network, numbers: torch.Tensor) -> torch.Tensor:
    """Return the number of the token that stands for no word: of [MASK], else of an unknown word."""
    assert network.text is not None  # noqa: S101
    for token in NEUTRAL:
        if network.text.words is None:
            return _numbers(network, "qzxqzx")[-1]
        words = network.text.words(token)
        if token in words:
            return _numbers(network, token)[words.index(token)]
    return torch.tensor(0)


def _embedding(network: Network, module: nn.Module, numbers: torch.Tensor, masked: bool) -> str:
    """Return the name of the module that embeds the tokens: the largest table that reads their numbers."""
    found: dict[str, int] = {}
    hooks = []

    def watch(name: str, table: nn.Embedding) -> Any:
        def read(_module: nn.Module, inputs: Any, _output: Any) -> None:
            if inputs and isinstance(inputs[0], torch.Tensor) and torch.equal(inputs[0].cpu(), numbers):
                found[name] = table.num_embeddings

        return read

    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding):
            hooks.append(part.register_forward_hook(watch(name, part)))
    try:
        where = next(module.parameters()).device
        given = torch.stack([numbers, torch.ones_like(numbers)], dim=1) if masked else numbers
        with torch.inference_mode():
            module(given.to(where))
    finally:
        for hook in hooks:
            hook.remove()
    return max(found, key=lambda name: found[name]) if found else ""


# --- targets ---------------------------------------------------------------------------------------


def _said(
    network: Network, shown: Stimuli, place: int, outputs: torch.Tensor | None
) -> tuple[tuple[tuple[str, float], ...], str]:
    """Return the likeliest classes with their probabilities, and the true class."""
    if not has_classes(network, outputs):
        return (), ""
    assert outputs is not None  # noqa: S101 - checked by has_classes
    names = class_names(network, outputs)
    chances = _probabilities(network, outputs)[0].cpu().numpy()
    order = np.argsort(-chances, kind="stable")[:CANDIDATES]
    with collect_cautions():
        truth, _ = predictions.true_classes(shown, names)
    true = names[truth[place]] if truth[place] != predictions.NO_TRUTH else ""
    return tuple((names[k], float(chances[k])) for k in order), true


def has_classes(network: Network, outputs: torch.Tensor | None) -> bool:
    """Say whether the network gives one number per class."""
    answers = str(network.card.get("output") or ("classes" if network.labels else ""))
    return answers == "classes" and outputs is not None and outputs.dim() == 2


def class_names(network: Network, outputs: torch.Tensor) -> tuple[str, ...]:
    """Return the names of what the network gives, one alone standing for a class and its opposite."""
    if len(network.labels) == outputs.shape[1]:
        return network.labels if outputs.dim() != 2 else predictions.class_names(network.labels)
    return tuple(f"output {k}" for k in range(outputs.shape[1]))


def _ending(network: Network) -> str:
    return network.layers[-1].kind if network.layers else ""


def logits(network: Network, outputs: torch.Tensor) -> torch.Tensor:
    """Return log odds (one output) or logits up to a constant, (n, n_classes), also behind a softmax."""
    ending = _ending(network)
    if outputs.shape[1] == 1:
        if ending == "Sigmoid":
            outputs = outputs.clamp(SATURATED, 1 - SATURATED).logit()
        return torch.cat([-outputs, outputs], dim=1)
    return outputs.clamp_min(SATURATED).log() if ending == "Softmax" else outputs


def _probabilities(network: Network, outputs: torch.Tensor) -> torch.Tensor:
    if outputs.shape[1] == 1:
        chance = outputs if _ending(network) == "Sigmoid" else outputs.sigmoid()
        return torch.cat([1 - chance, chance], dim=1)
    return outputs if _ending(network) == "Softmax" else outputs.softmax(dim=1)


def make_target(
    network: Network,
    spec: AttributionSpec,
    outputs: torch.Tensor | None,
    likeliest: Sequence[tuple[str, float]],
    truth: str,
) -> Target:
    """Return what is explained, from the words of the spec.

    ``top``, ``true``, the name of a class or output, ``A − B`` for the difference of two, or ``LAYER:UNIT``
    for a unit inside the network: a channel averaged over its places, or with ``LAYER:CHANNEL,ROW,COLUMN``
    one place of it.

    Raises
    ------
    InputError
        When the target does not exist.
    """
    text = spec.target.strip()
    names = class_names(network, outputs) if outputs is not None and outputs.dim() in (2, 4) else ()
    known = _named(text, names, likeliest, truth)
    if known:
        return _class_target(network, spec, outputs, names, known)
    angle = _angle(network, text, outputs)
    if angle is not None:
        return _orientation_target(angle, text == "top")
    layer, _, unit = text.rpartition(":")
    if layer in {row.name for row in network.layers}:
        return _unit_target(network, spec, layer, unit)
    if text == "top" and outputs is not None and outputs.dim() == 4 and network.labels:
        return _class_target(network, spec, outputs, names, (names[0],))
    if text == "true" and likeliest:
        message = "The true class of this stimulus is not known."
        raise InputError(message, "Choose top, or a class by name.")
    if text in ("top", "true"):
        what = str(network.card.get("output") or "not a number per class")
        message = f"{network.title} does not choose between classes: its output is {what}."
        raise InputError(message, f"Choose a unit as target, such as {_example(network)}.")
    raise unknown("target", text, [*names, "top", "true", _example(network)])


def _named(
    text: str, names: Sequence[str], likeliest: Sequence[tuple[str, float]], truth: str
) -> tuple[str, ...]:
    """Return the one or two classes that a target names; nothing when it names none."""
    if text == "top" and likeliest:
        return (likeliest[0][0],)
    if text == "true" and truth:
        return (truth,)
    folded = {predictions.folded(name): name for name in names}
    if predictions.folded(text) in folded:
        return (folded[predictions.folded(text)],)
    for sign in (" − ", " - "):
        first, found, second = text.partition(sign)
        if found:
            both = [_named(part.strip(), names, likeliest, truth) for part in (first, second)]
            if all(len(part) == 1 for part in both) and both[0] != both[1]:
                return (both[0][0], both[1][0])
    return ()


def _class_target(
    network: Network,
    spec: AttributionSpec,
    outputs: torch.Tensor | None,
    names: Sequence[str],
    chosen: tuple[str, ...],
) -> Target:
    assert outputs is not None  # noqa: S101 - names come from outputs
    rows = [names.index(name) for name in chosen]
    classes = has_classes(network, outputs)
    places = outputs.dim() == 4
    if spec.score == "probability" and not (classes or places):
        message = f"{network.title} gives no probabilities: its output is {network.card.get('output')}."
        raise InputError(message, "Explain its output itself: choose the logit.")

    def read(found: torch.Tensor) -> torch.Tensor:
        if places:
            values = found.sigmoid() if spec.score == "probability" else found
            return values.flatten(2).mean(2)
        if spec.score == "probability":
            return _probabilities(network, found)
        return logits(network, found) if classes else found

    def score(found: Any) -> torch.Tensor:
        values = read(_tensor(found))
        return values[:, rows[0]] - values[:, rows[1]] if len(rows) == 2 else values[:, rows[0]]

    what = spec.score if classes or places else "output"
    unit = {"logit": "logits", "probability": "probability"}.get(what, "output")
    mean = "mean over places of the " if places else ""
    return Target(f"{mean}{what} of {' − '.join(chosen)}", unit, score)


def _angle(network: Network, text: str, outputs: torch.Tensor | None) -> float | None:
    """Return the orientation in degrees that a target means: ``top``, the decoded one, or such as ``45°``."""
    if network.card.get("output") != ORIENTATION or outputs is None or outputs.dim() != 2:
        return None
    if text == "top":
        cosine, sine = outputs[0, :2].double().tolist()
        return float(np.rad2deg(np.arctan2(sine, cosine)) / 2 % 180)
    try:
        return float(text.removesuffix("°")) % 180 if text.endswith("°") else None
    except ValueError:
        return None


def _orientation_target(angle: float, decoded: bool) -> Target:
    """Return the evidence for an orientation: the answer along it, cos 2(θ − angle) times its length."""
    along = np.deg2rad(2 * angle)

    def score(found: Any) -> torch.Tensor:
        values = _tensor(found)
        return values[:, 0] * float(np.cos(along)) + values[:, 1] * float(np.sin(along))

    which = ", the orientation decoded" if decoded else ""
    words = f"evidence for {angle:.0f}°{which}"
    return Target(words, "units of the answer", score, fixed=f"{angle!r}°")


def feature_names(network: Network, n: int) -> dict[str, Any]:
    """Return what the card of a network says of the numbers that it is given: names, and an axis for them."""
    told = network.card.get("features") or {}
    return dict(told) if len(told.get("names", ())) == n else {}


def _unit_target(network: Network, spec: AttributionSpec, layer: str, unit: str) -> Target:
    row = next(found for found in network.layers if found.name == layer)
    if spec.score == "probability":
        message = "A unit inside the network has no probability."
        raise InputError(message, "Choose the logit, which stands for the unit's own value.")
    try:
        place = tuple(int(part) for part in unit.split(","))
    except ValueError:
        place = ()
    axis = row.channel_axis
    shape = row.shape if axis is None else (row.shape[axis], *row.shape[:axis], *row.shape[axis + 1 :])
    fits = len(place) in (1, len(shape)) and all(0 <= k < n for k, n in zip(place, shape, strict=False))
    if not fits or row.batch_axis != 0:
        message = f'There is no unit "{unit}" in {layer}, whose output is {row.shape_text}.'
        raise InputError(message, f"Name a channel, 0 to {max(shape[0] - 1, 0)}, such as {layer}:0.")

    def score(found: Any) -> torch.Tensor:
        values = _tensor(found)
        values = values if axis is None else values.movedim(axis + 1, 1)
        for k in place:
            values = values[:, k]
        return values.flatten(1).mean(1) if values.dim() > 1 else values

    which = "unit" if len(shape) == 1 else "mean of channel" if len(place) == 1 else "place"
    return Target(f"{which} {unit} of {layer}", "activation", score, layer)


def _tensor(found: Any) -> torch.Tensor:
    tensor = first_tensor(found)
    assert tensor is not None  # noqa: S101 - the network was run once before
    return tensor


def _example(network: Network) -> str:
    named = [row.name for row in network.layers if row.default] or [row.name for row in network.layers]
    return f"{named[len(named) // 2]}:0" if named else "LAYER:0"


# --- where the object is ---------------------------------------------------------------------------


def on_object(stimuli_reference: str, name: str, values: torch.Tensor) -> MaskShare | None:
    """Measure how much of a map lies on the object; None where that is not known."""
    from dashboard.methods.attribution.trust import mask_share

    mask = object_mask(stimuli_reference, name)
    if mask is None or values.dim() < 2 or tuple(values.shape[-2:]) != mask.shape:
        return None
    return mask_share(values, torch.from_numpy(mask))


def object_mask(stimuli_reference: str, name: str) -> np.ndarray | None:
    """Return where the object is, (height, width) bool; None for stimuli that were not drawn by rule."""
    ref = reference.parse(stimuli_reference)
    if ref.name != "objects":
        return None
    from dashboard.stimuli.objects import Objects

    objects = Objects(
        n=ref.integer("n", 240),
        seed=ref.integer("seed", 0),
        group=ref.options.get("group", "training"),  # type: ignore[arg-type]
    )
    return np.asarray(objects.mask(objects.names.index(name)))
