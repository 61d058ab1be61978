from __future__ import annotations

import threading
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from dashboard import networks
from dashboard.errors import Cancelled, InputError
from dashboard.networks import capture as capturing
from dashboard.networks.layers import tabulate
from dashboard.networks.network import Network
from dashboard.progress import listening

CPU = torch.device("cpu")


class Small(nn.Module):
    """Reuses an in-place ReLU and returns a tuple from one part."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.norm, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 5)
        self.ran = 0

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = self.relu(self.conv2(x))
        tokens = x.flatten(2).transpose(1, 2)
        tokens, _ = self.attend(tokens, tokens, tokens)
        return self.head(tokens.mean(1))


def wrapped(module: nn.Module, input_shape=(3, 8, 8)) -> Network:
    module = module.eval().requires_grad_(False)
    return Network(
        reference="test",
        title="test",
        module=module,
        preprocess=lambda picture: torch.from_numpy(picture).permute(2, 0, 1).float() / 255,
        labels=(),
        layers=tabulate(module, input_shape),
        digest="",
        card=MappingProxyType({}),
        preprocessing="",
        weights="",
        input_shape=input_shape,
    )


@pytest.fixture
def network() -> Network:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = Small()
    with torch.no_grad():
        module.norm.running_mean.uniform_(-1, 1)
    return wrapped(module)


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn((5, 3, 8, 8), generator=torch.Generator().manual_seed(1))


def responses(network, batch, patterns, reduce="all"):
    layers = networks.select(network.layers, patterns)
    with capturing.capture(network, layers, reduce, CPU) as respond:
        return respond(batch)


def by_hand(module: Small, x: torch.Tensor) -> dict[str, torch.Tensor]:
    out = {"conv1": module.conv1(x)}
    out["norm"] = module.norm(out["conv1"])
    out["relu"] = out["norm"].clamp(min=0)
    out["conv2"] = module.conv2(out["relu"])
    out["relu:2"] = out["conv2"].clamp(min=0)
    tokens = out["relu:2"].flatten(2).transpose(1, 2)
    out["attend"] = module.attend(tokens, tokens, tokens)[0]
    out["head"] = module.head(out["attend"].mean(1))
    return {k: v.detach() for k, v in out.items()}


def test_all_layers_equal_the_direct_computation_despite_in_place_relu(network, batch):
    found, expected = responses(network, batch, ["all"]), by_hand(network.module, batch)
    assert list(found) == ["conv1", "norm", "relu", "conv2", "relu:2", "attend", "head"]
    for name, rows in found.items():
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, expected[name].flatten(1).numpy(), rtol=1e-5, atol=1e-6)
    assert found["norm"].min() < 0 <= found["relu"].min()


def test_spatial_mean(network, batch):
    found, expected = responses(network, batch, ["all"], "spatial-mean"), by_hand(network.module, batch)
    for name in ("norm", "relu", "conv2"):
        np.testing.assert_allclose(found[name], expected[name].mean((2, 3)).numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["attend"], expected["attend"].mean(1).numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["head"], expected["head"].numpy(), rtol=1e-5, atol=1e-6)


def test_the_shared_network_keeps_no_hooks_and_stays_in_eval_mode(network, batch):
    responses(network, batch, ["all"])
    with pytest.raises(RuntimeError):
        responses(network, batch[:, :1], ["all"])
    assert not network.module.training
    assert not any(m._forward_hooks for m in network.module.modules())


def test_the_pass_stops_at_the_deepest_layer(batch):
    class Counted(nn.Linear):
        passes = 0

        def forward(self, x):
            Counted.passes += 1
            return super().forward(x)

    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), Counted(72, 4))
    small = wrapped(module)
    Counted.passes = 0
    responses(small, batch, ["0", "1"])
    assert Counted.passes == 0
    responses(small, batch, ["0", "3"])
    assert Counted.passes == 1


def test_batch_axis_and_windows_give_a_row_per_stimulus():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.time_first, self.windows = nn.LSTM(3, 4), nn.Linear(3, 2)

        def forward(self, x):
            self.windows(x.reshape(-1, 2, 3))
            return self.time_first(x.transpose(0, 1))[0]

    torch.manual_seed(0)
    odd = wrapped(Odd(), (6, 3))
    x = torch.randn(4, 6, 3)
    found = responses(odd, x, ["all"])
    steps = odd.module.time_first(x.transpose(0, 1))[0].transpose(0, 1)
    np.testing.assert_allclose(found["time_first"], steps.flatten(1).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found["windows"], odd.module.windows(x).flatten(1).numpy(), rtol=1e-5, atol=1e-6
    )


def test_batches_do_not_matter(network, batch):
    layers = networks.select(network.layers, ["conv2", "head"])
    whole = responses(network, batch, ["conv2", "head"])
    parts = list(networks.activations(network, batch.split(2), layers, where=CPU))
    assert [len(p["head"]) for p in parts] == [2, 2, 1]
    for name in whole:
        np.testing.assert_allclose(
            np.concatenate([p[name] for p in parts]), whole[name], rtol=1e-5, atol=1e-6
        )


def test_batches_of_pictures(network):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    sizes = [len(b) for b in networks.batches(network, iter(pictures), size=2)]
    assert sizes == [2, 2, 1]


def test_batches_are_as_large_as_the_cache_allows(network):
    assert capturing.batch_size(network, CPU) == capturing.MOST_PER_BATCH
    large = wrapped(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1)), (3, 256, 256))
    assert capturing.batch_size(large, CPU) == 2  # 16 × 256 × 256 × 4 bytes = 4 MiB each


def test_progress_is_told_and_cancel_comes_through(network, batch):
    layers = networks.select(network.layers, ["head"])
    told = []
    with listening(lambda fraction, phrase: told.append((fraction, phrase))):
        list(networks.activations(network, batch.split(2), layers, total=5, where=CPU))
    assert [round(f, 3) for f, _ in told] == [0.4, 0.8, 1.0]
    assert told[0][1] == "Responses to stimulus 2 of 5"

    def cancel(fraction, phrase):
        raise Cancelled

    with listening(cancel), pytest.raises(Cancelled):
        list(networks.activations(network, batch.split(2), layers, total=5, where=CPU))


def test_two_captures_at_once_on_one_network_do_not_mix(network):
    inputs = [torch.full((3, 3, 8, 8), float(i)) for i in range(6)]
    expected = [responses(network, x, ["all"]) for x in inputs]
    results: dict[int, list] = {}
    start = threading.Barrier(2)

    def work(which: int) -> None:
        names = ["all"] if which else ["conv1", "relu:2"]
        layers = networks.select(network.layers, names)
        start.wait()
        results[which] = [list(networks.activations(network, [x], layers, where=CPU))[0] for x in inputs * 5]

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which, names in ((0, {"conv1", "relu:2"}), (1, set(expected[0]))):
        for i, rows in enumerate(results[which]):
            assert set(rows) == names
            for name in names:
                np.testing.assert_allclose(rows[name], expected[i % 6][name], rtol=1e-5, atol=1e-6)


def test_no_layer_is_refused(network):
    with pytest.raises(InputError, match="No layer"), capturing.capture(network, ()):
        pass


def test_forecast_tells_the_true_size(network, batch):
    layers = networks.select(network.layers, ["all"])
    for reduce in ("all", "spatial-mean", "subset?n=10", "projection?n=12"):
        told = networks.forecast(network, 5, layers, reduce)
        rows = responses(network, batch, ["all"], reduce)
        assert told.bytes == sum(r.nbytes for r in rows.values())
        assert told.units == {name: r.shape[1] for name, r in rows.items()}
        assert told.seconds > 0


def test_memory_of_weights_is_shared_by_the_private_copy(network):
    copy = capturing.private(network.module, CPU)
    assert copy.conv1 is not network.module.conv1
    assert copy.conv1.weight is network.module.conv1.weight
    assert copy.norm.running_mean is network.module.norm.running_mean
