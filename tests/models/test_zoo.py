"""The bundled networks: every figure is computed from the committed weights, on pictures new to them."""

from __future__ import annotations

import hashlib
import importlib
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import models
from dashboard import stimuli
from dashboard.stimuli.objects import Objects, categories

SEED = 7
"""Of the Objects here; the recipes use seeds above a million."""

NAMES = sorted(set(models.NETWORKS) - {"tilt_cnn"})


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def opened(name: str) -> torch.nn.Module:
    """The network with its committed weights, ready to answer."""
    network = importlib.import_module(f"models.{name}").build()
    network.load_state_dict(load_file(models.weights(name)))
    return network.eval()


def answers(name: str, pictures) -> torch.Tensor:
    """What the network says about bytes (n, height, width, 3), through its own preprocessing."""
    preprocess = importlib.import_module(f"models.{name}").preprocess
    network = opened(name)
    with torch.no_grad():
        inputs = torch.stack([preprocess(picture) for picture in pictures])
        return torch.cat([network(part) for part in inputs.split(100)])


@pytest.fixture(scope="session")
def objects() -> Objects:
    return Objects(360, seed=SEED)


@pytest.fixture(scope="session")
def pictures(objects) -> np.ndarray:
    return objects.pictures()


# Cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_complete_and_true(name):
    card, network = models.card(name), opened(name)
    assert {*models.CARD_KEYS, "family", "minutes"} <= set(card)
    assert card["name"] == name
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["minutes"] > 0
    assert hashlib.sha256(models.weights(name).read_bytes()).hexdigest() == card["sha256"]
    assert models.weights(name).stat().st_size < 2e6


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_whole(name):
    card, network = models.card(name), opened(name)
    history = card["history"]
    assert [entry["epoch"] for entry in history] == list(range(1, card["hyperparameters"]["epochs"] + 1))
    layers = dict(network.named_modules())
    for entry in history:
        numbers = [entry[f"{part}_{what}"] for part in ("train", "validation") for what in ("loss", "metric")]
        assert all(
            math.isfinite(x) for x in [*numbers, entry["learning_rate"], *entry["gradient_norm"].values()]
        )
        assert entry["gradient_norm"]
        assert set(entry["gradient_norm"]) <= set(layers)


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_gives_the_input_of_the_card(name):
    card, recipe = models.card(name), importlib.import_module(f"models.{name}")
    if card.get("input") == "text":
        x = recipe.preprocess("The keys to the cabinet")
        assert (list(x.shape), x.dtype) == (card["input_shape"], torch.int64)
        return
    if card.get("input") == "vector":
        latent = stimuli.load(f"{card['stimuli']}?n=1").vectors[0]
        x = recipe.preprocess(latent)
        assert (list(x.shape), x.dtype) == (card["input_shape"], torch.float32)
        np.testing.assert_allclose(x.numpy(), latent, rtol=1e-6)
        return
    for shape in ((64, 64, 3), (90, 51, 3)):
        picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        before = picture.copy()
        x = recipe.preprocess(picture)
        assert list(x.shape) == card["input_shape"]
        assert x.dtype == torch.float32
        np.testing.assert_array_equal(picture, before)


# Objects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "least"), [("objects_cnn", 0.95), ("objects_vit", 0.90)])
def test_shapes_are_named(name, least, objects, pictures):
    found = answers(name, pictures).argmax(1).numpy()
    assert models.card(name)["labels"] == list(categories("training"))
    assert np.mean(found == objects.labels()) >= least


def test_an_untrained_network_does_not_name_shapes(objects, pictures):
    """The figure above comes from the weights: the architecture alone does no better than chance."""
    torch.manual_seed(0)
    network = importlib.import_module("models.objects_cnn").build().eval()
    preprocess = importlib.import_module("models.objects_cnn").preprocess
    with torch.no_grad():
        found = network(torch.stack([preprocess(p) for p in pictures[:120]])).argmax(1).numpy()
    assert np.mean(found == objects.labels()[:120]) < 0.25


def test_the_transformer_attends_as_it_says(pictures):
    """Four blocks of four heads over a CLS token and 64 patches, and the answer is read from CLS alone."""
    vit = opened("objects_vit")
    assert [block.attention.heads for block in vit.blocks] == [4, 4, 4, 4]
    seen = []
    hook = vit.norm.register_forward_hook(lambda module, args, out: seen.append(args[0].shape))
    recipe = importlib.import_module("models.objects_vit")
    with torch.no_grad():
        vit(torch.stack([recipe.preprocess(p) for p in pictures[:2]]))
    hook.remove()
    assert seen == [(2, 64)]
    assert vit.position.shape == (1, 65, 64)


def test_the_object_is_segmented(objects, pictures):
    from models.objects_unet import iou

    overlap = iou(answers("objects_unet", pictures[:240]), torch.from_numpy(objects.masks()[:240, None]))
    assert float(overlap.mean()) >= 0.90


def test_overlap_is_counted_right():
    from models.objects_unet import iou

    logits, masks = torch.full((2, 1, 4, 4), -1.0), torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    logits[0, 0, :2] = 1  # 8 pixels
    masks[0, 0, 1:] = True  # 12 pixels, 4 in common
    np.testing.assert_allclose(iou(logits, masks).numpy(), [4 / 16, 0])


def test_the_autoencoder_beats_as_many_linear_numbers(pictures):
    """16 latent numbers explain more of unseen pictures than 16 principal components."""
    from sklearn.decomposition import PCA

    from models.objects_vae import LATENT

    assert LATENT <= 16
    truth = pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1) / 255.0
    again = answers("objects_vae", pictures).flatten(1).numpy()
    fitted = Objects(600, seed=SEED + 1).pictures().transpose(0, 3, 1, 2).reshape(600, -1) / 255.0
    pca = PCA(LATENT, svd_solver="randomized", random_state=0).fit(fitted)
    linear = pca.inverse_transform(pca.transform(truth))
    left = {name: np.square(truth - x).sum() for name, x in (("vae", again), ("pca", linear))}
    spread = np.square(truth - truth.mean((0, 1))).sum()
    assert 1 - left["vae"] / spread == pytest.approx(
        models.card("objects_vae")["metrics"]["variance_explained"], abs=0.03
    )
    assert left["vae"] < left["pca"]


def test_the_reconstruction_puts_the_object_in_its_place(objects, pictures):
    again = answers("objects_vae", pictures).numpy()
    border = np.concatenate(
        [again[:, :, :4].reshape(360, 3, -1), again[:, :, -4:].reshape(360, 3, -1)], axis=2
    )
    apart = np.square(again - np.median(border, axis=2)[:, :, None, None]).sum(1) ** 2
    rows, columns = np.mgrid[:64, :64] + 0.5
    for at, factor in ((columns, "x"), (rows, "y")):
        found = (apart * at).sum((1, 2)) / apart.sum((1, 2))
        assert np.corrcoef(found, objects.columns[factor])[0, 1] > 0.7


def test_latent_means_are_what_is_reconstructed(pictures):
    vae = opened("objects_vae")
    x = torch.from_numpy(pictures[:5]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(vae(x), vae.decode(vae.encode(x)[0]))


def test_made_pictures_come_near_to_drawn_ones(pictures):
    """Latents and Objects are new here; the distance of 360 pictures is a little above the card's."""
    from models.objects_gan import features, frechet, judges

    recipe, vit = importlib.import_module("models.objects_gan"), judges()["objects_vit"]
    latents = stimuli.load(f"latents?n=360&seed={SEED}").vectors
    torch.manual_seed(0)
    networks = {"made": opened("objects_gan"), "untrained": recipe.build().eval()}
    drawn = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    known, found = features(vit, drawn), {}
    with torch.no_grad():
        x = torch.stack([recipe.preprocess(latent) for latent in latents])
        for name, network in networks.items():
            found[name] = frechet(features(vit, torch.cat([network(part) for part in x.split(120)])), known)
    metrics = models.card("objects_gan")["metrics"]
    assert found["made"] == pytest.approx(metrics["frechet_made"], rel=0.15)
    assert found["made"] < 25 < 100 < found["untrained"]
    assert metrics["frechet_drawn"] < 0.1 * metrics["frechet_made"]


def test_the_card_of_the_generator_says_what_it_does_not_do():
    card, recipe = models.card("objects_gan"), importlib.import_module("models.objects_gan")
    assert card["why"] == recipe.why(card["metrics"])
    assert "not in place of Objects" in card["why"]


def test_the_distance_of_clouds_has_its_closed_form():
    from models.objects_gan import frechet

    x = np.random.default_rng(0).normal(size=(200, 3))
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    # moved by (3, 0, 0) and twice as wide: 9 + trace(S + 4 S - 2 * 2 S) about the trace of S
    wide = 2 * (x - x.mean(0)) + x.mean(0) + [3, 0, 0]
    assert frechet(x, wide) == pytest.approx(9 + np.trace(np.cov(x.T)))


def test_the_discriminator_takes_drawn_pictures_for_drawn(pictures):
    gan = opened("objects_gan")
    drawn = torch.from_numpy(pictures[:120]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        made = gan(torch.randn((120, 48), generator=torch.Generator().manual_seed(SEED)))
        said = [gan.discriminator(some) for some in (drawn, made)]
    assert float((said[0] > said[1].median()).double().mean()) > 0.8


def test_new_shapes_from_twenty_pictures():
    objects = Objects(240, SEED, "transfer")
    recipe = importlib.import_module("models.objects_transfer")
    found = answers("objects_transfer", objects.pictures()).argmax(1).numpy()
    assert np.mean(found == objects.labels()) >= 0.90
    assert recipe.PER_CLASS == 20
    assert categories("transfer") == recipe.LABELS
    metrics = models.card("objects_transfer")["metrics"]
    assert metrics["accuracy"] > metrics["accuracy_from_scratch"]


def test_the_features_were_taken_over_unchanged():
    new, old = (load_file(models.weights(name)) for name in ("objects_transfer", "objects_cnn"))
    for name in old:
        if not name.startswith("head."):
            assert torch.equal(new[name], old[name]), name


# V1 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def v1():
    from models import v1_decoder

    seen, truth = v1_decoder.gratings(300, SEED)
    return v1_decoder, torch.from_numpy(v1_decoder.rates(seen)), truth, seen


def test_orientation_is_read_from_single_trials(v1):
    recipe, rates, truth, _ = v1
    spikes = recipe.spikes(rates, repeats=1, random=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        found = opened("v1_decoder")(recipe.standardised(spikes))
    assert float(recipe.errors(found, truth).mean()) <= 5


def test_orientation_is_read_from_the_recording():
    from dashboard import recordings

    recording = recordings.load("simulated-v1?cells=200&seed=0&subjects=1")
    from models import v1_decoder as recipe

    responses = torch.from_numpy(recording.mean_responses("simulated V1")[0])
    truth = torch.from_numpy(recording.stimuli.columns["orientation"])
    known = torch.from_numpy(recording.stimuli.columns["spatial_frequency"] <= 12)
    with torch.no_grad():
        found = opened("v1_decoder")(recipe.standardised(responses))
    assert float(recipe.errors(found, truth)[known].mean()) <= 5


def test_orientation_is_read_from_pictures(v1):
    recipe, _, truth, seen = v1
    pictures = np.repeat(np.rint(255 * seen[:40, :, :, None]).astype(np.uint8), 3, axis=3)
    found = answers("v1_decoder", pictures)
    assert float(recipe.errors(found, truth[:40]).mean()) <= 2


def test_errors_go_round(v1):
    recipe = v1[0]
    answers_ = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(recipe.orientations(answers_).numpy(), [0, 45, 90], atol=1e-5)
    np.testing.assert_allclose(
        recipe.errors(answers_, torch.tensor([179.0, 46.0, 0.0])), [1, 1, 90], atol=1e-4
    )


def test_the_encoder_predicts_every_cell_on_new_gratings():
    from models import v1_encoder as recipe

    card = models.card("v1_encoder")
    found = recipe.held_out(opened("v1_encoder"), card["seed"])
    assert found == pytest.approx(card["metrics"], abs=2e-3)
    assert found["mean_r_with_expected_rates"] > 0.75
    other = recipe.held_out(recipe.build(), card["seed"])
    assert other["mean_r_with_expected_rates"] < 0.3


# Text -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences():
    from models.tiny_text import sentence

    return [sentence(i, SEED) for i in range(1000)]


def test_agreement_follows_structure(sentences):
    from models.tiny_text import accuracies

    found = accuracies(opened("tiny_text"), sentences)
    assert found["last_noun_rule"] < 0.65
    assert found["accuracy"] >= 0.97
    assert found["accuracy_misleading_last_noun"] >= 0.95


def test_word_counts_do_not_solve_the_task(sentences):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    counts = CountVectorizer(token_pattern=r"[a-z']+|,").fit_transform([s.text for s in sentences])
    plural = [s.plural for s in sentences]
    model = LogisticRegression(max_iter=300).fit(counts[:700], plural[:700])
    assert model.score(counts[700:], plural[700:]) < 0.85


@pytest.mark.parametrize(
    ("text", "plural"),
    [
        ("The keys to the old cabinet", True),
        ("The key to the old cabinets", False),
        ("the farmer that the children admire", False),
        ("the teacher says that the boys near the river", True),
        ("the cat and the dog", True),
        ("these sheep behind the house", True),
        ("this sheep behind the houses", False),
    ],
)
def test_sentences_of_the_literature(text, plural):
    recipe = importlib.import_module("models.tiny_text")
    with torch.no_grad():
        scores = opened("tiny_text")(recipe.preprocess(text)[None])
    assert recipe.LABELS[int(scores.argmax())] == ("plural verb" if plural else "singular verb")


def test_words_beyond_the_vocabulary_and_the_end():
    recipe = importlib.import_module("models.tiny_text")
    numbers = recipe.preprocess("the zyzzyva " + "near the river " * 20)
    assert [recipe.VOCABULARY[k] for k in numbers[:4]] == ["[CLS]", "the", "[UNK]", "near"]
    assert len(numbers) == recipe.LENGTH
    assert recipe.VOCABULARY[recipe.preprocess("")[1]] == "[PAD]"


def test_padding_does_not_change_the_answer():
    recipe = importlib.import_module("models.tiny_text")
    numbers, network = recipe.preprocess("the keys to the cabinet")[None], opened("tiny_text")
    with torch.no_grad():
        torch.testing.assert_close(network(numbers), network(numbers[:, :6]), rtol=1e-4, atol=1e-5)


# Digits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "least"), [("digits_mlp", 0.96), ("digits_lstm", 0.95), ("digits_gru", 0.95)]
)
def test_digits_are_read(name, least):
    from models._digits import split

    _, _, held_out = split(models.card(name)["seed"])
    found = answers(name, held_out.pictures).argmax(1)
    accuracy = float((found == held_out.labels).float().mean())
    assert accuracy >= least
    assert accuracy == pytest.approx(models.card(name)["metrics"]["accuracy"], abs=0.005)


def test_digits_are_split_without_overlap():
    from models._digits import split

    parts = [{p.tobytes() for p in part.pictures} for part in split(0)]
    assert [len(part.labels) for part in split(0)] == [1097, 200, 500]
    assert not parts[2] & (parts[0] | parts[1])


@pytest.mark.slow
def test_the_recipe_gives_the_committed_weights(tmp_path):
    from models.train import train

    card = train("digits_mlp", seed=models.card("digits_mlp")["seed"], folder=tmp_path)
    again, committed = load_file(tmp_path / "digits_mlp.safetensors"), load_file(models.weights("digits_mlp"))
    # Another processor adds in another order; within one, the bytes are the same.
    same = card["sha256"] == models.card("digits_mlp")["sha256"]
    both = torch.stack(
        [torch.cat([file[key].flatten() for key in sorted(file)]) for file in (again, committed)]
    )
    assert same or torch.corrcoef(both)[0, 1] > 0.99
    assert card["metrics"]["accuracy"] >= 0.96
