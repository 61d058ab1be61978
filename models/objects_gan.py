"""A generative adversarial network: a generator makes pictures like Objects, a discriminator judges them.

How to call it: ``ObjectsGAN.decode(latent)`` (the same as calling the module) takes latent numbers
(n, ``LATENT``), drawn from a standard normal distribution, and gives pictures (n, 3, 64, 64) from 0 to 1; in
evaluation mode the same numbers give the same picture, so a straight line between two latents is a walk
between two pictures. ``ObjectsGAN.discriminator(pictures)``, on pictures of that form, gives one number each,
higher where it takes the picture for one drawn by the rules of Objects.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.progress import report
from models import _training as training
from models.objects_cnn import Block, ObjectsCNN
from models.objects_vit import ObjectsViT

EPOCHS, BATCH, LEARNING_RATE, BETAS = 4, 16, 1e-3, (0.0, 0.99)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 6_000, 480, 960
LATENT, SIDE = 48, 64
AVERAGING = 0.995
"""Share of the averaged generator that stays at each step."""

STEEPEST = 1.5
"""Largest singular value that a filter bank of the discriminator may have."""

NOTED_EVERY = 8


def _double(channels_in: int, channels: int) -> nn.Sequential:
    """Repeat pixels and convolve: transposed convolutions leave chequered marks (Odena et al. 2016)."""
    conv = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2), conv, nn.BatchNorm2d(channels), nn.ReLU())


class Generator(nn.Module):
    """48 random numbers become a picture of 64 × 64 pixels (after Radford et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(LATENT, 96 * 16)
        self.norm = nn.BatchNorm2d(96)
        self.relu = nn.ReLU()
        self.double1 = _double(96, 80)
        self.double2 = _double(80, 64)
        self.double3 = _double(64, 40)
        self.fewer = nn.Conv2d(40, 16, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
        self.fine = nn.Conv2d(16, 12, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.paint = nn.Conv2d(12, 3, 3, padding=1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, latent: Tensor) -> Tensor:
        """Latent numbers (n, 48) -> pictures (n, 3, 64, 64), 0 to 1."""
        x = self.relu(self.norm(self.expand(latent).view(-1, 96, 4, 4)))
        x = self.relu1(self.fewer(self.double3(self.double2(self.double1(x)))))
        return self.sigmoid(self.paint(self.relu2(self.fine(self.enlarge(x)))))


def _head(channels: int, *sizes: int) -> nn.Sequential:
    """Convolutions that halve the side, and one number per place."""
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [nn.Conv2d(channels, size, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        channels = size
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1))


class Discriminator(nn.Module):
    """Four heads, on the pixels and on three depths of an eye that is not trained (Sauer et al. 2021).

    The eye is the lower part of objects_cnn; what it knows of shapes spares the heads much of the learning.
    """

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU())
        self.block1 = Block(16, 16, stride=1)
        self.block2 = Block(16, 32, stride=2)
        self.block3 = Block(32, 64, stride=2)
        self.head0 = _head(3, 24, 48, 56)
        self.head1 = _head(16, 32, 48)
        self.head2 = _head(32, 48)
        self.head3 = _head(64, 64)

    def eye(self) -> list[nn.Module]:
        """The parts that are not trained."""
        return [self.stem, self.block1, self.block2, self.block3]

    def heads(self) -> list[nn.Module]:
        """The parts that are trained."""
        return [self.head0, self.head1, self.head2, self.head3]

    def judgements(self, pictures: Tensor) -> list[Tensor]:
        """Pictures (n, 3, 64, 64), 0 to 1 -> what each head says at each place, (n, 1, h, w)."""
        x = (pictures - 0.5) / 0.25
        said = [self.head0(x)]
        for part, head in zip(self.eye()[1:], self.heads()[1:], strict=True):
            x = part(self.stem(x) if part is self.block1 else x)
            said.append(head(x))
        return said

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64), 0 to 1 -> one number each (n, 1), higher where it looks drawn."""
        return torch.stack([said.mean((1, 2, 3)) for said in self.judgements(pictures)], dim=1).mean(1, True)


class ObjectsGAN(nn.Module):
    """Generator and discriminator; called with latent numbers it is the generator."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = Generator()
        self.discriminator = Discriminator()

    def decode(self, latent: Tensor) -> Tensor:
        """Latent numbers (n, 48), standard normal -> pictures (n, 3, 64, 64), 0 to 1."""
        return self.generator(latent)

    def forward(self, latent: Tensor) -> Tensor:
        """Latent numbers (n, 48), standard normal -> pictures (n, 3, 64, 64), 0 to 1."""
        return self.decode(latent)


def build() -> nn.Module:
    """Return the untrained network."""
    return ObjectsGAN()


def preprocess(latent: np.ndarray) -> Tensor:
    """Latent numbers (48,) as the generator wants them; (48,) float32."""
    return torch.from_numpy(np.array(latent, dtype=np.float32))


# The figures ------------------------------------------------------------------------------------------------


@torch.no_grad()
def features(network: nn.Module, pictures: Tensor, batch: int = 120) -> np.ndarray:
    """What the read-out of a classifier of Objects is given; pictures (n, 3, 64, 64), 0 to 1 -> (n, k)."""
    found: list[Tensor] = []
    head = network.get_submodule("head")
    hook = head.register_forward_pre_hook(lambda _module, given: found.append(given[0]))
    for part in pictures.split(batch):
        network((part - 0.5) / 0.25)
    hook.remove()
    return torch.cat(found).double().numpy()


def judges() -> dict[str, nn.Module]:
    """Return the bundled networks in whose features pictures are compared."""
    found: dict[str, nn.Module] = {"objects_vit": ObjectsViT(), "objects_cnn": ObjectsCNN()}
    for name, network in found.items():
        network.load_state_dict(load_file(Path(__file__).with_name(f"{name}.safetensors")))
    return {name: network.eval() for name, network in found.items()}


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of two clouds taken as Gaussian (Heusel et al. 2017, eq. 6); (n, k), (m, k)."""
    covariances = np.cov(x.T), np.cov(y.T)
    # The trace of the root of a product of two covariances is the sum of its eigenvalues' roots.
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)
    apart = np.square(x.mean(0) - y.mean(0)).sum()
    return float(apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(eigenvalues).sum())


# The recipe -------------------------------------------------------------------------------------------------


class _Trainer:
    """Alternating steps of discriminator and generator on the hinge loss (Lim & Ye 2017)."""

    def __init__(self, network: ObjectsGAN, seed: int) -> None:
        self.network = network
        self.averaged = copy.deepcopy(network.generator)
        self.random = torch.Generator().manual_seed(seed)
        heads = [p for head in network.discriminator.heads() for p in head.parameters()]
        for part in network.discriminator.eye():
            part.requires_grad_(False)
        self.optimisers = [
            torch.optim.Adam(p, LEARNING_RATE, BETAS) for p in (heads, network.generator.parameters())
        ]
        self.filters = [p for p in heads if p.ndim > 1]
        self.directions = [torch.randn(len(p), generator=self.random) for p in self.filters]

    def latent(self, n: int) -> Tensor:
        """Standard normal latent numbers (n, 48)."""
        return torch.randn((n, LATENT), generator=self.random)

    def step(self, drawn: Tensor, epoch: training.Epoch, note: bool) -> float:
        """Train both once on drawn pictures (n, 3, 64, 64), 0 to 1, and return the generator's loss."""
        network = self.network
        made = network.generator(self.latent(len(drawn)))
        loss = discriminator_loss(network, drawn, made.detach())
        self._turn(0, loss, epoch if note else None)
        self._limit()
        for head in network.discriminator.heads():
            head.requires_grad_(False)
        fooled = -sum((said.mean() for said in network.discriminator.judgements(made)), start=torch.zeros(()))
        self._turn(1, fooled, epoch if note else None)
        for head in network.discriminator.heads():
            head.requires_grad_(True)
        self._average()
        epoch.add(loss, 0.0, len(drawn))
        return float(fooled.detach())

    def _turn(self, half: int, loss: Tensor, epoch: training.Epoch | None) -> None:
        """One step of the discriminator (0) or the generator (1)."""
        self.optimisers[half].zero_grad(set_to_none=True)
        loss.backward()
        if epoch is not None:
            name = ("discriminator", "generator")[half]
            epoch.add_gradients(getattr(self.network, name), f"{name}.")
        self.optimisers[half].step()

    @torch.no_grad()
    def _limit(self) -> None:
        """Keep the largest singular value of each filter bank small (after Miyato et al. 2018)."""
        for filters, u in zip(self.filters, self.directions, strict=True):
            matrix = filters.flatten(1)
            v = F.normalize(matrix.T @ u, dim=0)
            u.copy_(matrix @ v)
            size = u.norm()
            u.div_(size)
            filters.div_((size / STEEPEST).clamp_min(1.0))

    @torch.no_grad()
    def _average(self) -> None:
        """Keep a running mean of the generator: its pictures flicker less than the last step's."""
        for mean, now in zip(self.averaged.parameters(), self.network.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - AVERAGING)
        for held, current in zip(self.averaged.buffers(), self.network.generator.buffers(), strict=True):
            if held.is_floating_point():
                held.lerp_(current, 1 - AVERAGING)


def discriminator_loss(network: ObjectsGAN, drawn: Tensor, made: Tensor) -> Tensor:
    """Hinge loss of the discriminator, summed over its heads."""
    loss = torch.zeros(())
    for said in network.discriminator.judgements(torch.cat([drawn, made])):
        of_drawn, of_made = said.split([len(drawn), len(made)])
        loss = loss + F.relu(1 - of_drawn).mean() + F.relu(1 + of_made).mean()
    return loss


class _Comparison:
    """Measures of an epoch: made pictures beside training and validation pictures, (n, 3, 64, 64) each."""

    def __init__(self, trained: Tensor, validation: Tensor) -> None:
        self.judge = judges()["objects_vit"]
        self.validation = validation
        self.features = [features(self.judge, pictures) for pictures in (trained, validation)]
        self.latent = torch.randn((len(validation), LATENT), generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def measures(self, network: ObjectsGAN, generator: nn.Module) -> dict[str, float]:
        """``train_metric``, ``validation_loss`` and ``validation_metric``."""
        made = generator(self.latent)
        found = features(self.judge, made)
        distances = [round(frechet(found, reference), 3) for reference in self.features]
        loss = round(float(discriminator_loss(network, self.validation, made)), 5)
        return {"train_metric": distances[0], "validation_loss": loss, "validation_metric": distances[1]}


def _fit(network: ObjectsGAN, pictures: Tensor, validation: Tensor, seed: int) -> list[dict[str, Any]]:
    """Train in place and return a dict per epoch; the metric is the Fréchet distance."""
    trainer, history = _Trainer(network, seed), []
    compare = _Comparison(pictures[:N_VALIDATION].float() / 255, validation.float() / 255)
    network.discriminator.eval()
    for number in range(EPOCHS):
        network.generator.train()
        epoch, fooled = training.Epoch(), []
        batches = torch.randperm(len(pictures), generator=trainer.random).split(BATCH)
        for i, indices in enumerate(batches):
            report((number + i / len(batches)) / EPOCHS, f"training, epoch {number + 1} of {EPOCHS}")
            rate = LEARNING_RATE * min(1.0, 2 * (1 - (number + i / len(batches)) / EPOCHS))
            for optimiser in trainer.optimisers:
                optimiser.param_groups[0]["lr"] = rate
            drawn = training.varied(pictures[indices].float() / 255, trainer.random)
            drawn = drawn.contiguous(memory_format=torch.channels_last)
            fooled.append(trainer.step(drawn, epoch, note=i % NOTED_EVERY == 0))
        entry = {"epoch": number + 1, "train_loss": epoch.means("train")["train_loss"]}
        entry |= compare.measures(network, trainer.averaged.eval())
        entry |= {"generator_loss": round(float(np.mean(fooled)), 5), "learning_rate": float(f"{rate:.4g}")}
        training.log.info("%s", entry)
        history.append(entry | {"gradient_norm": epoch.norms()})
    network.generator = trainer.averaged
    network.eval()
    return history


def figures(network: ObjectsGAN, unseen: Tensor, seed: int) -> dict[str, float]:
    """Return how far made pictures are from Objects that the network never saw, and how varied they are.

    Parameters
    ----------
    network : ObjectsGAN
        In evaluation mode.
    unseen : (n, 3, 64, 64) uint8
        The first half is compared with; the second half gives the figures of other drawn pictures.
    seed : int
        Of the latent numbers, of an untrained generator and of noise.

    Returns
    -------
    dict
        Fréchet distances in the features of objects_vit, which the discriminator never used; ``spread_*``,
        the mean distance between two of the pictures there; ``confident_*``, the share of pictures that
        objects_cnn calls one of its shapes with probability 0.9 or more; ``categories_made``, the number of
        equally frequent categories that would be as varied as what objects_cnn says of made pictures.
    """
    pictures = unseen.float() / 255
    first, second = pictures.split(len(pictures) // 2)
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn((len(first), LATENT), generator=random)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        untrained = Generator().eval()(latent)
        made = torch.cat([network(part) for part in latent.split(120)])
    noise = torch.rand(first.shape, generator=random)
    judging, told = judges(), {}
    reference = features(judging["objects_vit"], first)
    for name, some in {"made": made, "drawn": second, "untrained": untrained, "noise": noise}.items():
        found = features(judging["objects_vit"], some)
        told[f"frechet_{name}"] = round(frechet(found, reference), 3)
        if name in ("made", "drawn"):
            sure = _named(judging["objects_cnn"], some)
            told[f"spread_{name}"] = round(float(torch.pdist(torch.from_numpy(found)).mean()), 3)
            told[f"confident_{name}"] = round(float((sure.amax(1) >= 0.9).double().mean()), 3)
            told[f"categories_{name}"] = round(float(torch.special.entr(sure.mean(0)).sum().exp()), 2)
    return told


@torch.no_grad()
def _named(network: nn.Module, pictures: Tensor) -> Tensor:
    """Probabilities (n, 12) of the shapes in pictures (n, 3, 64, 64), 0 to 1."""
    scores = [network((part - 0.5) / 0.25) for part in pictures.split(120)]
    return torch.cat(scores).double().softmax(1)


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 7 minutes on one core.

    Returns
    -------
    network, card
    """
    with training.reproducible(seed) as minutes:
        network = ObjectsGAN().to(memory_format=torch.channels_last)
        known = load_file(Path(__file__).with_name("objects_cnn.safetensors"))
        own = network.discriminator.state_dict()
        network.discriminator.load_state_dict({name: known.get(name, own[name]) for name in own})
        pictures, _ = training.object_pictures(N_TRAINING, training.TRAINING + seed)
        validation, _ = training.object_pictures(N_VALIDATION, training.VALIDATION + seed)
        history = _fit(network, pictures, validation, seed)
        unseen, _ = training.object_pictures(N_HELD_OUT, training.HELD_OUT + seed)
        card = _card(seed, history, figures(network, unseen, seed)) | {"minutes": minutes()}
    return network.to(memory_format=torch.contiguous_format), card


def _card(seed: int, history: list[dict[str, Any]], metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "title": "Objects GAN",
        "family": "generative adversarial network",
        "task": "Make a picture like Objects from 48 random numbers.",
        "input": "vector",
        "output": "picture",
        "data": training.objects_told(seed, N_TRAINING, N_VALIDATION, N_HELD_OUT),
        "preprocessing": "none: 48 numbers, drawn from a standard normal distribution",
        "input_shape": [LATENT],
        "labels": [],
        "stimuli": "latents",
        "hyperparameters": {
            "optimiser": f"Adam, betas {BETAS[0]:g} and {BETAS[1]:g}",
            "schedule": "constant, falling to 0 over the second half",
            "epochs": EPOCHS,
            "batch": BATCH,
            "peak learning rate": LEARNING_RATE,
            "loss": "hinge (Lim & Ye 2017), summed over four heads of the discriminator",
            "discriminator": "heads on the pixels and on frozen layers of objects_cnn (Sauer et al. 2021)",
            "largest singular value of its filters": STEEPEST,
            "generator kept": f"running mean of its weights, {AVERAGING} a step",
            "latent": LATENT,
            "variation": training.VARIATION,
        },
        "metric": "Fréchet distance in the features of objects_vit",
        "history": history,
        "metrics": metrics,
        "why": why(metrics),
        "licence": training.LICENCE,
    }


def why(metrics: dict[str, float]) -> str:
    """Say what the generator does not do."""
    made, drawn = (f"{100 * metrics[f'confident_{which}']:.0f} %" for which in ("made", "drawn"))
    return (
        f"Made for walks between latent points, not in place of Objects: most of its objects are rounded "
        f"blobs without the texture and the clear outline of a shape. objects_cnn names a shape with "
        f"probability 0.9 or more in {made} of its pictures, and in {drawn} of drawn ones. Seen by eye in 48 "
        f"samples, objects are mostly green or violet, and a few pictures show two objects or none."
    )
