"""Variance shift: formulas against drawn samples and their own properties, the probe and the repair against numpy."""

from __future__ import annotations

import copy
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.nets.build import build
from tenfold.papers.variance_shift.method import (
    Uout,
    adjust,
    cos2,
    insert_noise,
    probe,
    readjust,
    settle,
    shift_before_bn,
    shift_before_conv,
    shift_before_weights,
    shift_of_uout,
    variance_of_dropped,
    watched,
)
from tenfold.papers.variance_shift.theory import simulate

ROOT = Path(__file__).parents[2]
FAMILIES: dict[str, dict[str, Any]] = {
    "basic": {"family": "preresnet", "name": "preresnet_basic", "depth": 8, "width": 4},
    "bottleneck": {"family": "preresnet", "name": "preresnet_bottleneck", "depth": 11, "width": 4},
    "resnext": {"family": "resnext_cifar", "name": "resnext11", "cardinality": 2, "width": 2, "stem": 4},
    "wide": {"family": "wide_resnet", "name": "wide_resnet", "depth": 10, "width": 1},
    "dense": {"family": "densenet", "name": "densenet_bc", "depth": 10, "growth": 4},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


# Formulas -----------------------------------------------------------------------------------------------------------

quick = settings(deadline=None, max_examples=50)
retains = st.floats(0.05, 1.0)
means = st.floats(-3.0, 3.0)
variances = st.floats(0.01, 10.0)
correlations = st.floats(0.0, 0.95)  # at 1, across the vector of ones, nothing varies: 0 / 0
angles = st.floats(0.0, 500.0)  # d cos^2


def test_the_shift_of_zero_mean_inputs_is_the_retain_ratio() -> None:
    assert shift_before_bn(0.5, 0.0, 2.0) == pytest.approx(0.5)
    assert shift_before_bn(0.5, 1.0, 1.0) == pytest.approx(1 / 3)


def test_uout_of_the_paper() -> None:
    assert shift_of_uout(0.1) == pytest.approx(300 / 301)
    assert shift_of_uout(0.1, mean=2.0) < shift_of_uout(0.1)


@quick
@given(retains, means, variances, correlations, angles)
def test_shifts_are_shares(retain: float, mean: float, variance: float, correlation: float, d_cos2: float) -> None:
    assert 0 <= shift_before_bn(retain, mean, variance) <= 1 + 1e-12
    assert -1e-12 <= shift_before_conv(retain, mean, variance, correlation, d_cos2) <= 1 + 1e-12


@quick
@given(means, variances, correlations, angles)
def test_without_dropout_nothing_shifts(mean: float, variance: float, correlation: float, d_cos2: float) -> None:
    assert variance_of_dropped(1.0, mean, variance) == pytest.approx(variance, rel=1e-9, abs=1e-12)
    assert shift_before_bn(1.0, mean, variance) == pytest.approx(1, rel=1e-9)
    assert shift_before_conv(1.0, mean, variance, correlation, d_cos2) == pytest.approx(1, rel=1e-6)


@quick
@given(st.tuples(retains, retains), means, variances, correlations, st.tuples(angles, angles))
def test_the_shift_gets_less_with_retain_ratio_and_angle(
    two_retains: tuple[float, float],
    mean: float,
    variance: float,
    correlation: float,
    two_angles: tuple[float, float],
) -> None:
    (less, more), (narrow, wide) = sorted(two_retains), sorted(two_angles)
    slack = 1 - 1e-9
    assert shift_before_bn(more, mean, variance) >= slack * shift_before_bn(less, mean, variance)
    for d_cos2 in (narrow, wide):
        held = shift_before_conv(less, mean, variance, correlation, d_cos2)
        assert shift_before_conv(more, mean, variance, correlation, d_cos2) >= slack * held - 1e-12
    for retain in (less, more):
        held = shift_before_conv(retain, mean, variance, correlation, narrow)
        assert shift_before_conv(retain, mean, variance, correlation, wide) >= slack * held - 1e-12


@quick
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=12), retains, means, variances, correlations)
def test_weights_and_their_angle_give_the_same_shift(
    weights: list[float], retain: float, mean: float, variance: float, correlation: float
) -> None:
    w = torch.tensor(weights, dtype=torch.float64)
    if float(w.square().sum()) < 1e-6:
        return
    d_cos2 = len(weights) * float(cos2(w[None]))
    by_weights = shift_before_weights(retain, mean, variance, correlation, w)  # eq. 12
    assert shift_before_conv(retain, mean, variance, correlation, d_cos2) == pytest.approx(by_weights, rel=1e-9)
    second_form = (variance * correlation + variance * (1 - correlation) / max(d_cos2, 1e-300)) / (
        variance * correlation
        + ((1 / retain - 1) * mean**2 + variance * (1 / retain - correlation)) / max(d_cos2, 1e-300)
    )
    if d_cos2 > 1e-9:
        assert by_weights == pytest.approx(second_form, rel=1e-6)


def test_the_angle_of_filters() -> None:
    kernels = torch.stack([torch.ones(2, 3, 3), torch.arange(18.0).view(2, 3, 3) - 8.5])
    assert cos2(kernels).tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
    one = np.random.default_rng(0).normal(size=(1, 4, 3, 3))
    expected = (one.sum() / (np.linalg.norm(one) * np.sqrt(one.size))) ** 2
    assert float(cos2(torch.tensor(one))) == pytest.approx(expected)


def test_drawn_samples_agree_with_the_formulas(tmp_path: Path) -> None:
    cfg = {"samples": 400_000, "seed": 1, "retain": [0.7, 0.5], "mean": [0.0, 1.0], "correlation": [0.0, 0.4],
           "inputs": [8], "beta": [0.1, 0.5]}  # fmt: skip
    simulate(cfg, Job(resume=tmp_path / "resume"), theory=tmp_path / "theory.json")
    rows = read_json(tmp_path / "theory.json")["rows"]
    assert [row["case"] for row in rows].count("b") == 8
    for row in rows:
        assert row["measured"] == pytest.approx(row["formula"], rel=0.01), row


def test_numpy_agrees_with_the_shift_of_weights() -> None:
    rng, n, weights = np.random.default_rng(3), 400_000, np.array([1.0, -0.5, 0.8, 0.3])
    x = 0.5 + np.sqrt(0.3) * rng.normal(size=(n, 1)) + np.sqrt(0.7) * rng.normal(size=(n, 4))
    dropped = x * rng.binomial(1, 0.6, size=x.shape) / 0.6
    expected = shift_before_weights(0.6, 0.5, 1.0, 0.3, torch.tensor(weights))
    assert (x @ weights).var() / (dropped @ weights).var() == pytest.approx(expected, rel=0.01)


# Noise --------------------------------------------------------------------------------------------------------------


def test_uout_is_uniform_and_off_in_test_mode() -> None:
    x = torch.full((200_000,), 2.0)
    noise = Uout(0.3)(x) / x - 1
    assert noise.abs().max() <= 0.3 + 1e-6
    assert float(noise.mean()) == pytest.approx(0, abs=2e-3)
    assert float(noise.double().var()) == pytest.approx(0.3**2 / 3, rel=0.01)
    assert torch.equal(Uout(0.3).eval()(x), x)


def order_of_calls(net: nn.Module) -> list[nn.Module]:
    """The leaf modules in the order in which a forward pass runs them."""
    called: list[nn.Module] = []
    hooks = [module.register_forward_hook(lambda m, _i, _o: called.append(m)) for module in net.modules()
             if not list(module.children())]  # fmt: skip
    net(torch.randn(2, 3, 8, 8))
    for hook in hooks:
        hook.remove()
    return called


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("placement", "before"), [("a", nn.BatchNorm2d), ("b", nn.Conv2d), ("uout", nn.Conv2d)])
def test_noise_stands_right_before_what_the_case_says(family: str, placement: str, before: type[nn.Module]) -> None:
    net = insert_noise(build(FAMILIES[family]), placement, 0.5)
    called = order_of_calls(net)
    wanted = Uout if placement == "uout" else nn.Dropout
    places = [index for index, module in enumerate(called) if isinstance(module, wanted)]
    blocks = [module for module in net.modules() if hasattr(module, "before_last_bn")]
    assert len(places) == len(blocks) > 0
    for index in places:
        assert type(called[index + 1]) is before
    for block in blocks:  # the last of the block's own layers, shortcut and noise left out
        own = [m for m in called if m in set(block.children()) and not isinstance(m, nn.Identity | wanted)]
        last = [m for m in own if isinstance(m, before) and m is not getattr(block, "shortcut", None)][-1]
        place = block.before_last_bn if placement == "a" else block.before_last_conv
        assert called[called.index(last) - 1] is place


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_dropout_comes_after_every_batchnorm(family: str) -> None:
    called = order_of_calls(insert_noise(build(FAMILIES[family]), "last", 0.1))
    assert [type(module) for module in called[-2:]] == [nn.Dropout, nn.Linear]
    assert sum(isinstance(module, nn.Dropout) for module in called) == 1


@pytest.mark.parametrize("placement", ["a", "b", "last", "uout"])
def test_noise_changes_training_only_and_no_names_of_weights(placement: str) -> None:
    plain = build(FAMILIES["wide"]).eval()
    noisy = insert_noise(copy.deepcopy(plain), placement, 0.5)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(noisy(images), plain(images))
    noisy.load_state_dict(plain.state_dict())
    assert not torch.equal(noisy.train()(images), plain.train()(images))


def test_wrong_places_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="none, a, b, uout, last"):
        insert_noise(build(FAMILIES["wide"]), "c", 0.5)
    with pytest.raises(ValueError, match="has no place"):
        insert_noise(nn.Linear(2, 2), "a", 0.5)


# The probe ----------------------------------------------------------------------------------------------------------


class InPlace(nn.Module):
    """Two BatchNorms, registered against their order in the forward pass, with in-place ReLUs around them."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.shallow = nn.BatchNorm2d(6), nn.BatchNorm2d(4)
        self.conv, self.relu, self.drop = nn.Conv2d(4, 6, 3), nn.ReLU(inplace=True), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, H, W) -> (N, 6, H - 2, W - 2)."""
        return self.relu(self.deep(self.drop(self.conv(self.relu(self.shallow(self.relu(x)))))))


def trained_in_place() -> tuple[InPlace, list[Tensor]]:
    net, batches = InPlace(), [torch.randn(5, 4, 6, 6) + index for index in range(4)]
    for batch in batches:
        net(batch.clone())
    return net, batches


def entering_deep(net: InPlace, batch: Tensor) -> np.ndarray[Any, Any]:
    """What enters the deeper BatchNorm in test mode, by hand."""
    x = batch.relu()
    bn = net.shallow
    assert bn.running_mean is not None
    assert bn.running_var is not None
    shape = (1, -1, 1, 1)
    x = (x - bn.running_mean.view(shape)) / (bn.running_var.view(shape) + bn.eps).sqrt()
    return np.asarray(net.conv(x.relu()).detach().double())


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_probe_agrees_with_numpy(momentum: float) -> None:
    net, batches = trained_in_place()
    stored = net.deep.running_var
    assert stored is not None
    shallow, deep = probe(net, [batch.clone() for batch in batches], momentum)
    assert (shallow.name, deep.name) == ("shallow", "deep")  # in the order of the forward pass
    mean = variance = np.zeros(6)
    for number, batch in enumerate(batches, start=1):
        maps, weight = entering_deep(net, batch), max(momentum, 1 / number)
        mean = (1 - weight) * mean + weight * maps.mean((0, 2, 3))
        variance = (1 - weight) * variance + weight * maps.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(deep.real_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(deep.real_var, variance, rtol=1e-4)
    moving, real = float(stored.mean()), variance.mean()  # channels first, then the ratio
    assert deep.ratio == pytest.approx(max(moving / real, real / moving), rel=1e-5)


def test_the_probe_leaves_the_net_as_it_was() -> None:
    net, batches = trained_in_place()
    net.shallow.eval()
    before = copy.deepcopy(net.state_dict())
    probe(net, batches)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert (net.training, net.drop.training, net.shallow.training) == (True, True, False)
    assert not net.deep._forward_pre_hooks


def test_hooks_go_when_a_forward_pass_fails() -> None:
    net, _ = trained_in_place()
    with pytest.raises(RuntimeError), watched(net):
        net(torch.randn(2, 7, 6, 6))
    assert not net.deep._forward_pre_hooks


def test_a_net_without_running_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="no BatchNorm with running statistics"):
        probe(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)), [torch.randn(4, 2)])


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_averages_without_dropout_give_ratio_one(family: str) -> None:
    net = build(FAMILIES[family])
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    batch = torch.randn(128, 3, 16, 16)
    net(batch)  # statistics of this one batch at each layer
    # Training divides by the biased variance and stores the unbiased one, n / (n - 1) times as large, n at least 2048.
    assert max(layer.ratio for layer in probe(net, [batch])) == pytest.approx(1, abs=3e-3)
    assert len(probe(net, [batch])) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_dropout_before_batchnorm_shifts_as_the_formula_says() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=None))
    x = torch.randn(50_000, 8) + 1
    net.train()(x)
    (layer,) = probe(net, [(x, None)])
    assert 1 / layer.ratio == pytest.approx(shift_before_bn(0.5, 1.0, 1.0), rel=0.02)
    assert layer.moving > layer.real


def test_batchnorm_over_points_works_in_bf16_and_channels_last() -> None:
    batch = torch.randn(16, 4, 6, 6)
    net = nn.Sequential(nn.BatchNorm2d(4))
    (plain,) = probe(net, [batch])
    (other,) = probe(net, [batch.to(memory_format=torch.channels_last)])
    torch.testing.assert_close(other.real_var, plain.real_var)
    (coarse,) = probe(net, [batch.bfloat16()])
    torch.testing.assert_close(coarse.real_var, plain.real_var, rtol=0.01, atol=0.01)


# The repair ---------------------------------------------------------------------------------------------------------


def test_adjusting_overwrites_all_layers_by_what_was_measured_under_the_old_ones() -> None:
    net, batches = trained_in_place()
    layers = probe(net, batches)
    adjust(net, layers)
    for layer in layers:
        bn = net.get_submodule(layer.name)
        assert torch.equal(bn.running_mean, layer.real_mean)  # type: ignore[arg-type]
        assert torch.equal(bn.running_var, layer.real_var)  # type: ignore[arg-type]
    assert probe(net, batches)[0].ratio == pytest.approx(1)
    assert probe(net, batches)[1].ratio != pytest.approx(1, abs=1e-4)  # what is behind the first sees another input


def test_readjusting_is_torchs_update_bn_without_dropout() -> None:
    net, batches = trained_in_place()
    theirs = copy.deepcopy(net)
    theirs.drop.p = 0.0
    update_bn([batch.clone() for batch in batches], theirs)
    readjust(net, [batch.clone() for batch in batches])
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name])
    assert (net.training, net.deep.momentum) == (True, 0.1)


def stored(layer: nn.Module) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The moving averages of a BatchNorm layer."""
    mean, variance = (np.asarray(layer.get_buffer(f"running_{name}").double()) for name in ("mean", "var"))
    return mean, variance


def test_settling_agrees_with_numpy() -> None:
    net, batches = trained_in_place()
    averages = {name: stored(net.get_submodule(name)) for name in ("shallow", "deep")}
    weight, kernel = 0.3, np.asarray(net.conv.weight.detach().double())
    assert net.conv.bias is not None
    bias = np.asarray(net.conv.bias.detach().double()).reshape(-1, 1, 1)

    def update(name: str, maps: np.ndarray[Any, Any]) -> None:
        (mean, variance), measured = averages[name], (maps.mean((0, 2, 3)), maps.var((0, 2, 3), ddof=1))
        averages[name] = (1 - weight) * mean + weight * measured[0], (1 - weight) * variance + weight * measured[1]

    for batch in [*batches, *batches]:
        x = np.asarray(batch.double()).clip(0)
        mean, variance = (moment.reshape(-1, 1, 1) for moment in averages["shallow"])
        hidden = ((x - mean) / np.sqrt(variance + 1e-5)).clip(0)  # by the averages that the batch meets
        windows = np.lib.stride_tricks.sliding_window_view(hidden, (3, 3), (2, 3))
        update("shallow", x)
        update("deep", np.einsum("ncijkl,ockl->noij", windows, kernel) + bias)
    settle(net, [batch.clone() for batch in [*batches, *batches]], weight)
    for name, (mean, variance) in averages.items():
        np.testing.assert_allclose(stored(net.get_submodule(name))[0], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stored(net.get_submodule(name))[1], variance, rtol=1e-4)


def test_averages_behind_fixed_layers_are_the_weighted_sum_of_all_batches_and_the_start() -> None:
    net, batches = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), [torch.randn(8, 3) + k for k in range(6)]
    settle(net, batches, 0.2)
    weights = [0.8**6, *(0.2 * 0.8 ** (5 - k) for k in range(6))]  # of the start, then of each batch
    entered = [np.asarray(net[0](batch).detach().double()) for batch in batches]
    means = [np.zeros(4), *(x.mean(0) for x in entered)]
    variances = [np.ones(4), *(x.var(0, ddof=1) for x in entered)]
    np.testing.assert_allclose(stored(net[1])[0], np.average(means, axis=0, weights=weights), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stored(net[1])[1], np.average(variances, axis=0, weights=weights), rtol=1e-5)


def in_each_reading(net: nn.Sequential, batches: list[Tensor], passes: int) -> list[nn.Sequential]:
    """Copies of a net, adjusted at once, layer after layer, and in use."""
    at_once, by_layer, in_use = (copy.deepcopy(net) for _ in range(3))
    adjust(at_once, probe(at_once, batches))
    readjust(by_layer, batches)
    settle(in_use, batches * passes)
    return [at_once, by_layer, in_use]


def test_with_one_batchnorm_all_readings_are_one() -> None:
    net, batches = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(6)), [torch.randn(64, 6) + 1]
    for _ in range(100):
        net(batches[0])
    before = stored(net[1])
    at_once, *others = in_each_reading(net, batches, passes=200)
    assert (before[1] / stored(at_once[1])[1]).min() > 1.5
    for other in others:
        np.testing.assert_allclose(stored(other[1]), stored(at_once[1]), rtol=1e-5, atol=1e-6)


def test_settled_averages_are_those_of_readjusting_and_not_of_adjusting() -> None:
    batches = [torch.randn(4096, 3)]
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5),
                        nn.Dropout(0.5), nn.BatchNorm1d(5))  # fmt: skip
    for _ in range(100):
        net(batches[0])
    at_once, by_layer, in_use = (stored(adjusted[-1])[1] for adjusted in in_each_reading(net, batches, passes=300))
    np.testing.assert_allclose(in_use, by_layer, rtol=2e-3)  # that one normalises by the biased variance
    assert (by_layer / at_once).min() > 1.2  # corrected layers pass on a larger variance than those of training


@pytest.mark.parametrize("family", FAMILIES)
def test_settling_changes_nothing_where_nothing_has_shifted(family: str) -> None:
    net, batch = build(FAMILIES[family]), torch.randn(64, 3, 16, 16)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net(batch)
        before = net.eval()(batch)
        settle(net, [batch] * 5)
        after = net(batch)
    assert float((after - before).abs().max()) < 0.02 * float(before.std())


def test_settling_leaves_all_but_the_averages_as_it_was() -> None:
    net, batches = trained_in_place()
    net.shallow.eval()
    weights = [parameter.detach().clone() for parameter in net.parameters()]
    settle(net, [batch.clone() for batch in batches])
    assert all(torch.equal(old, new) for old, new in zip(weights, net.parameters(), strict=True))
    assert (net.training, net.drop.training, net.shallow.training, net.deep.momentum) == (True, True, False, 0.1)
    with pytest.raises(RuntimeError):
        settle(net, [torch.randn(2, 7, 6, 6)])
    assert not net.deep._forward_hooks


@settings(deadline=None, max_examples=10)
@given(st.floats(0.0, 0.7))
def test_the_shift_of_a_small_net_grows_with_the_drop_ratio(drop: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(4000, 6) + 1

    def ratio(rate: float) -> float:
        net = nn.Sequential(nn.Dropout(rate), nn.BatchNorm1d(6, momentum=None))
        net.train()(x)
        return probe(net, [x])[0].ratio

    assert ratio(drop) <= ratio(drop + 0.15)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples/measure_variance_shift.py"))
    assert "ratio" in capsys.readouterr().out
