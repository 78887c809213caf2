"""HRNN melody, exactly: sizes, lookback, labels, conditions, likelihoods, decoding."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tenfold import config
from tenfold.papers.melody.layers import Layer, layers_of, score, window_starts
from tenfold.papers.melody.method import (
    Composer,
    EventLSTM,
    conditions,
    event_of,
    input_size,
    log_likelihood,
    lookback,
    repeat_labels,
)

torch.set_num_threads(1)

K_NOTE, K_BEAT, K_BAR = 38, 8, 16
LOOKBACK = {"bar": [2, 4], "beat": [4, 8], "note": [4, 8], "counter": 5}
CENTRES: Any = {"bar": torch.zeros(K_BAR, 16), "beat": torch.zeros(K_BEAT, 4)}  # only their number counts here


def layer(name: str, layers: list[str]) -> Layer:
    return layers_of({"layers": layers, "lookback": LOOKBACK}, CENTRES)[name]


ONE, TWO, THREE = ["note"], ["beat", "note"], ["bar", "beat", "note"]

# Sizes ------------------------------------------------------------------------------------------------------------


def test_the_lookback_vector_of_notes_has_121_numbers_and_repeat_labels_are_40() -> None:
    assert [input_size(k, (1, 2), 5) for k in (K_NOTE, K_BEAT, K_BAR)] == [121, 31, 55]
    assert lookback(torch.zeros(1, 3, dtype=torch.int64), K_NOTE, (4, 8), 5).shape == (1, 3, 121)
    repeat = Layer("note", K_NOTE, (), (4, 8), 5, "repeat").net(8, 1, 0.0)
    assert repeat.output.out_features == 40


@pytest.mark.parametrize(
    ("name", "layers", "width", "expected"),
    [
        ("bar", THREE, 256, 848_912),
        ("beat", THREE, 256, 838_664),
        ("beat", TWO, 256, 822_280),
        ("note", ONE, 256, 922_150),
        ("note", TWO, 256, 930_342),
        ("note", THREE, 256, 946_726),
        ("note", ONE, 450, 2_668_538),
    ],
)
def test_parameters_with_one_bias_for_each_gate(name: str, layers: list[str], width: int, expected: int) -> None:
    with torch.device("meta"):
        net = layer(name, layers).net(width, 2, 0.5)
    second_biases = sum(p.numel() for key, p in net.named_parameters() if "bias_hh" in key)
    assert sum(p.numel() for p in net.parameters()) - second_biases == expected
    assert second_biases == 8 * width  # torch has two biases: 2,048 more for 256 units, 3,600 for 450


def parameters(layers: list[str], net: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for name in layers for p in layer(name, layers).net(**net).parameters())


@pytest.mark.parametrize("edition", ["small", "real", "full"])
def test_the_wide_single_layer_model_is_as_large_as_the_three_layer_model(edition: str) -> None:
    cfg = config.paper("melody").editions[edition]
    wide = parameters(ONE, cfg["net"] | {"width": cfg["variants"]["1L-wide"]["width"]})
    assert wide / parameters(THREE, cfg["net"]) == pytest.approx(1, abs=0.02)


def test_at_full_size_three_layers_have_about_three_times_the_parameters_of_one() -> None:
    net = config.paper("melody").editions["full"]["net"]
    assert net == {"width": 256, "depth": 2, "dropout": 0.5}
    assert parameters(THREE, net) / parameters(ONE, net) == pytest.approx(3, abs=0.2)


# Lookback ---------------------------------------------------------------------------------------------------------


def documented_lookback(events: list[int], position: int, classes: int, distances: list[int], bits: int) -> list[int]:
    """The vector for the event after ``position`` as note-seq documents it, event by event."""
    vector: list[int] = []

    def one_hot(index: int) -> None:
        vector.extend(int(k == (events[index] if index >= 0 else 0)) for k in range(classes))

    one_hot(position)
    for distance in distances:
        one_hot(position - distance + 1)
    vector.extend(1 if (position + 1) // 2**bit % 2 else -1 for bit in range(bits))
    for distance in distances:
        earlier = position - distance
        vector.append(int(earlier >= 0 and events[position] == events[earlier]))
    return vector


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.sampled_from([(4, 8), (2, 4), (1, 3), ()]))
def test_lookback_is_laid_out_as_documented(events: list[int], distances: tuple[int, ...]) -> None:
    found = lookback(torch.tensor([events]), 5, distances, 5)[0]
    for t in range(len(events)):
        assert found[t].tolist() == documented_lookback(events, t - 1, 5, list(distances), 5)


def test_the_second_part_is_the_guess_for_the_next_event_not_the_one_before_it() -> None:
    events = torch.tensor([[3, 1, 2, 4, 3, 1]])
    found = lookback(events, 5, (4,), 0)[0]
    assert found[4, 5:10].argmax() == 3  # event 0 followed nothing; four steps before step 4 stands 3
    assert found[5, 5:10].argmax() == 1
    assert found[5, -1] == 1  # event 4 repeats event 0
    assert found[4, -1] == 0


def test_later_steps_alone_are_the_end_of_all_steps() -> None:
    events = torch.randint(5, (3, 20), generator=torch.Generator().manual_seed(0))
    assert torch.equal(lookback(events, 5, (4, 8), 5, first=13), lookback(events, 5, (4, 8), 5)[:, 13:])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 37), min_size=17, max_size=30), st.integers(0, 16))
def test_no_event_is_seen_before_it_has_happened(events: list[int], t: int) -> None:
    changed = [*events[:t], (events[t] + 1) % K_NOTE, *events[t + 1 :]]
    before, after = (lookback(torch.tensor([each]), K_NOTE, (4, 8), 5)[0] for each in (events, changed))
    assert torch.equal(before[: t + 1], after[: t + 1])
    assert t + 1 == len(events) or not torch.equal(before[t + 1], after[t + 1])


# Labels -----------------------------------------------------------------------------------------------------------


def documented_label(events: list[int], position: int, classes: int, distances: list[int]) -> int:
    """The repeat label of an event as note-seq documents it."""
    if distances and position < distances[-1] and events[position] == 0:
        return classes + len(distances) - 1
    for i in reversed(range(len(distances))):
        earlier = position - distances[i]
        if earlier >= 0 and events[position] == events[earlier]:
            return classes + i
    return events[position]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.sampled_from([(4, 8), (2, 3), ()]))
def test_repeat_labels_are_the_documented_ones_and_name_their_events(
    events: list[int], distances: tuple[int, ...]
) -> None:
    sequence = torch.tensor([events])
    labels = repeat_labels(sequence, 4, distances)
    assert labels[0].tolist() == [documented_label(events, t, 4, list(distances)) for t in range(len(events))]
    assert torch.equal(event_of(labels, sequence, 4, distances), sequence)


def test_probabilities_of_all_events_add_up_to_one_with_either_coding() -> None:
    generator = torch.Generator().manual_seed(0)
    events = torch.randint(3, (1, 12), generator=generator)
    logits = torch.randn(1, 12, 5, generator=generator)
    for distances in ((2, 4), ()):
        of_coding = logits[..., : 3 + len(distances)]
        for t in range(12):
            total = 0.0
            for event in range(3):
                changed = events.clone()
                changed[0, t] = event
                total += float(log_likelihood(of_coding, changed, distances)[0, t].exp())
            assert total == pytest.approx(1, abs=1e-6)


def test_the_likelihood_of_plain_labels_is_their_cross_entropy() -> None:
    logits, events = torch.randn(2, 7, K_NOTE), torch.randint(K_NOTE, (2, 7))
    expected = F.cross_entropy(logits.flatten(0, 1), events.flatten(), reduction="sum")
    torch.testing.assert_close(-log_likelihood(logits, events, ()).sum(), expected)


# Conditions -------------------------------------------------------------------------------------------------------


def test_each_bar_conditions_its_four_beats_and_sixteen_notes() -> None:
    bars = torch.tensor([[2, 0]])
    assert conditions([(bars, 3)], 8)[0].argmax(1).tolist() == [2] * 4 + [0] * 4
    beats = torch.arange(8)[None]
    told = conditions([(beats, 8), (bars, 3)], 32)[0]
    assert told.shape == (32, 11)
    assert told[:, :8].argmax(1).tolist() == [t // 4 for t in range(32)]
    assert told[:, 8:].argmax(1).tolist() == [2] * 16 + [0] * 16


def toy_net(of: Layer, width: int = 12) -> EventLSTM:
    torch.manual_seed(0)
    return of.net(width, 2, 0.0).eval()


@pytest.mark.parametrize("beat", range(1, 8))
def test_a_condition_reaches_the_notes_of_its_own_beat_and_none_before(beat: int) -> None:
    of = layer("note", THREE)
    net = toy_net(of)
    piece = {"bar": torch.tensor([1, 2]), "beat": torch.arange(8) % 3, "note": torch.arange(32) % K_NOTE}
    other = piece | {"beat": piece["beat"].clone()}
    other["beat"][beat] = 5
    first, second = (net(of.inputs(each).float()[None])[0][0] for each in (piece, other))
    assert torch.equal(first[: 4 * beat], second[: 4 * beat])
    assert not torch.equal(first[4 * beat], second[4 * beat])


def test_a_net_can_know_a_symbol_from_its_own_condition_but_not_from_the_next_one() -> None:
    # Each note is the profile of its own beat, which is drawn at random: with the condition of the event that is
    # predicted the loss can reach 0, with that of the one before it could not.
    generator = torch.Generator().manual_seed(0)
    beats = torch.randint(4, (32, 8), generator=generator)
    notes = F.pad(beats[:, :, None], (0, 3))  # on each beat the profile's number, then no-events
    of = Layer("note", 4, (("beat", 4),), (), 0)
    aligned = of.told({"beat": beats}, 32, 32)
    late = F.pad(aligned, (0, 0, 4, 0))[:, :32]
    losses = []
    for told in (aligned, late):
        torch.manual_seed(0)
        net = of.net(16, 1, 0.0)
        optimiser = torch.optim.Adam(net.parameters(), 0.03)
        inputs = torch.cat([lookback(notes.flatten(1), 4, (), 0), told], dim=2).float()
        for _ in range(120):
            loss = F.cross_entropy(net(inputs)[0].flatten(0, 1), notes.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(loss.item())
    assert losses[0] < 0.02
    assert losses[1] > 0.2  # by chance log(4) / 4 = 0.35


def test_with_one_profile_each_the_three_layer_model_is_the_single_layer_model() -> None:
    cfg: dict[str, Any] = {"lookback": LOOKBACK}
    centres: Any = {"bar": torch.zeros(1, 16), "beat": torch.zeros(1, 4)}
    three, one = (layers_of(cfg | {"layers": layers}, centres) for layers in (THREE, ONE))
    plain, told = toy_net(one["note"]), toy_net(three["note"])
    with torch.no_grad():
        for (name, ours), other in zip(told.named_parameters(), plain.parameters(), strict=True):
            ours.zero_() if name == "lstm.weight_ih_l0" else None
            ours[..., : other.shape[-1]].copy_(other)
    notes = torch.randint(K_NOTE, (48,), generator=torch.Generator().manual_seed(1))
    piece = {"bar": torch.zeros(3, dtype=torch.int64), "beat": torch.zeros(12, dtype=torch.int64), "note": notes}
    logits = [net(of["note"].inputs(piece).float()[None])[0] for net, of in ((plain, one), (told, three))]
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-6)
    cpu = torch.device("cpu")
    assert [score(toy_net(three[name]), three[name], [piece], cpu).nats for name in ("bar", "beat")] == [0, 0]
    of_notes = [score(net, of["note"], [piece], cpu).nats for net, of in ((plain, one), (told, three))]
    assert of_notes[0] == pytest.approx(of_notes[1], abs=1e-4)


def test_pieces_of_several_lengths_are_measured_as_each_by_itself() -> None:
    of = Layer("note", K_NOTE, (), (4, 8), 5, "repeat")
    net = toy_net(of)
    pieces = [{"note": torch.randint(K_NOTE, (n,), generator=torch.Generator().manual_seed(n))} for n in (16, 48, 32)]
    together = score(net, of, pieces, torch.device("cpu"))
    apart = [score(net, of, [piece], torch.device("cpu")) for piece in pieces]
    assert together.nats == pytest.approx(sum(each.nats for each in apart), abs=1e-3)
    assert together.symbols == together.sixteenths == 96
    assert together.event == tuple(sum(each.event[i] for each in apart) for i in (0, 1))


def test_windows_hop_and_the_last_one_ends_with_the_piece() -> None:
    assert window_starts(30, 8, 4) == [0, 4, 8, 12, 16, 20, 22]
    assert window_starts(16, 8, 4) == [0, 4, 8]
    assert window_starts(5, 8, 4) == [0]


# Decoding ---------------------------------------------------------------------------------------------------------


def toy_composer(classes: int = 3, seed: int = 0) -> Composer:
    torch.manual_seed(seed)
    net = EventLSTM(input_size(classes, (2,), 2), 1, classes, width=6, depth=1, dropout=0.0).eval()
    with torch.no_grad():
        net.output.weight.mul_(6)
    return Composer(net, classes, (2,), 2)


def likelihood_of(composer: Composer, events: Tensor, told: Tensor) -> Tensor:
    """``log P`` of whole sequences (B, T), by teacher forcing."""
    inputs = torch.cat([lookback(events, composer.classes, composer.distances, composer.bits), told], dim=2)
    return log_likelihood(composer.net(inputs.float())[0], events, ()).sum(1)


def test_composing_step_by_step_sees_what_teacher_forcing_sees() -> None:
    composer = toy_composer()
    events = torch.randint(3, (4, 9), generator=torch.Generator().manual_seed(0))
    told = torch.randint(2, (4, 9, 1), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    total, state = torch.zeros(4), None
    for t in range(9):
        log_p, state = composer.step(events[:, :t], told[:, t], state)
        total += log_p.gather(1, events[:, t : t + 1])[:, 0]
    torch.testing.assert_close(total, likelihood_of(composer, events, told))


def test_a_beam_that_keeps_everything_finds_the_most_likely_sequence() -> None:
    composer = toy_composer()
    every = torch.tensor(list(itertools.product(range(3), repeat=5)))
    for first, other in itertools.product(range(3), range(2)):
        told = torch.full((1, 5, 1), other, dtype=torch.int8)
        begun = every[every[:, 0] == first]
        best = begun[likelihood_of(composer, begun, told.expand(len(begun), -1, -1)).argmax()]
        found = composer.beam(told, torch.tensor([[first]]), 81)
        assert torch.equal(found[0], best)


def test_a_beam_of_one_is_greedy_and_three_are_never_worse_here() -> None:
    composer = toy_composer(seed=3)
    told, primer = torch.zeros(1, 8, 1, dtype=torch.int8), torch.zeros(1, 0, dtype=torch.int64)
    greedy, state = primer, None
    for t in range(8):
        log_p, state = composer.step(greedy, told[:, t], state)
        greedy = torch.cat([greedy, log_p.argmax(1, keepdim=True)], dim=1)
    assert torch.equal(composer.beam(told, primer, 1), greedy)
    three = composer.beam(told, primer, 3)
    assert likelihood_of(composer, three, told) >= likelihood_of(composer, greedy, told)


def test_sampling_has_the_frequencies_of_the_model_and_keeps_the_primer() -> None:
    composer = toy_composer()
    n = 4000
    told, primer = torch.zeros(n, 3, 1, dtype=torch.int8), torch.full((n, 1), 2)
    drawn = composer.sample(told, primer, torch.Generator().manual_seed(0))
    again = composer.sample(told, primer, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, composer.sample(told, primer, torch.Generator().manual_seed(1)))
    assert (drawn[:, 0] == 2).all()
    for second, third in itertools.product(range(3), repeat=2):
        sequence = torch.tensor([[2, second, third]])
        first = composer.step(primer[:1, :0], told[:1, 0], None)[0][0, 2]
        expected = math.exp(likelihood_of(composer, sequence, told[:1]).item() - first.item())
        found = ((drawn[:, 1] == second) & (drawn[:, 2] == third)).double().mean().item()
        assert found == pytest.approx(expected, abs=4.5 * math.sqrt(expected * (1 - expected) / n) + 1e-3)
