"""Random numbers for building networks that leave the process's own random numbers untouched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

# Two builders that draw from torch's one generator at the same time would get each other's numbers.
_drawing = threading.RLock()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator inside the block and put its state back afterwards."""
    import torch

    with _drawing, torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would also reseed the generators of accelerators
        torch.default_generator.manual_seed(seed)
        yield
