"""What the S-LSTM, its sampling and its loss are, by definition: loops, einsums and numbers of the official code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tenfold.papers.video_captioning.method import (
    END,
    Captioner,
    Factored,
    Plain,
    TagNet,
    beam,
    caption_loss,
    greedy,
    own_word_probability,
    tag_loss,
)

CLASSES, WORDS, TAGS, FEATURES, HIDDEN, BATCH, STEPS = 11, 5, 7, 6, 8, 3, 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def captioner(term: type[Factored | Plain] = Factored, dropout: float = 0.5) -> Captioner:
    net = Captioner(torch.randn(CLASSES, WORDS), TAGS, FEATURES, HIDDEN, dropout=dropout, term=term)
    nn.init.normal_(net.cell.bias)
    nn.init.normal_(net.output_bias)
    return net.double()


LENGTHS = torch.tensor([4, 4, 2])


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    z, s = torch.randn(BATCH, FEATURES, dtype=torch.double), torch.rand(BATCH, TAGS, dtype=torch.double)
    return z, s, torch.randint(CLASSES, (BATCH, STEPS))


def unpacked(logits: Tensor, lengths: Tensor = LENGTHS) -> list[Tensor]:
    """For each caption the logits of its words, from those of all captions step by step."""
    steps = iter(logits)
    found: list[list[Tensor]] = [[] for _ in lengths]
    for t in range(int(lengths.max())):
        for n, length in enumerate(lengths.tolist()):
            if t < length:
                found[n].append(next(steps))
    assert next(steps, None) is None
    return [torch.stack(of) for of in found]


@torch.no_grad()
def by_hand(net: Captioner, z: Tensor, s: Tensor, words: Tensor) -> Tensor:
    """Logits (T, V) of one caption, gate by gate and number by number, with the mixed matrices written out."""

    def mixed(term: Factored, gate: int) -> Tensor:
        """W(s): for each tag a matrix of rank n_f, weighted by the tag."""
        return sum(s[k] * term.A[gate] @ torch.diag(term.B[gate, k]) @ term.C[gate] for k in range(TAGS))  # type: ignore[return-value]

    h, c, logits = torch.zeros(HIDDEN).double(), torch.zeros(HIDDEN).double(), []
    for t in range(len(words)):
        x = z @ net.first if t == 0 else net.embeddings[words[t - 1]]
        a = [
            x @ mixed(net.cell.word, g) + z @ mixed(net.cell.video, g) + h @ mixed(net.cell.state, g)  # type: ignore[arg-type]
            + net.cell.bias[g, 0]
            for g in range(4)
        ]  # fmt: skip
        new_c, new_h = torch.empty_like(c), torch.empty_like(h)
        for j in range(HIDDEN):
            i, f, o = (1 / (1 + math.exp(-float(a[g][j]))) for g in range(3))
            new_c[j] = f * float(c[j]) + i * math.tanh(float(a[3][j]))
            new_h[j] = o * math.tanh(float(new_c[j]))
        h, c = new_h, new_c
        logits.append(net.embeddings @ net.output @ h + net.output_bias)
    return torch.stack(logits)


def test_the_net_is_a_loop_over_words_gates_and_units_with_matrices_mixed_by_tags() -> None:
    net, (z, s, words) = captioner().eval(), inputs()
    for n, found in enumerate(unpacked(net(z, s, words, LENGTHS))):
        assert torch.allclose(found, by_hand(net, z[n], s[n], words[n, : LENGTHS[n]]), rtol=0, atol=1e-12)


def test_captions_have_to_come_the_longest_first() -> None:
    net, (z, s, words) = captioner(), inputs()
    with pytest.raises(ValueError, match="longest caption"):
        net(z, s, words, torch.tensor([2, 4, 4]))


def test_a_caption_in_a_batch_is_what_it_is_alone_and_what_pads_it_does_not_matter() -> None:
    net, (z, s, words) = captioner().eval(), inputs()
    together = unpacked(net(z, s, words, LENGTHS))
    words[2, 2:] = 9
    assert torch.equal(torch.cat(together), torch.cat(unpacked(net(z, s, words, LENGTHS))))
    for n, found in enumerate(together):
        alone = net(z[n : n + 1], s[n : n + 1], words[n : n + 1], LENGTHS[n : n + 1])
        assert torch.allclose(alone, found, rtol=0, atol=1e-12)


def test_without_tags_every_term_is_zero_and_the_cell_sees_its_biases_alone() -> None:
    net, (z, s, _) = captioner().eval(), inputs()
    clip = net.cell.clip(z, torch.zeros_like(s))
    word = net.cell.word(torch.randn(BATCH, WORDS).double(), clip.of_word)
    state = net.cell.state(torch.randn(BATCH, HIDDEN).double(), clip.of_state)
    assert not word.any()
    assert not state.any()
    assert torch.equal(clip.video, net.cell.bias.expand_as(clip.video))


def test_a_plain_cell_is_torchs_lstm_cell() -> None:
    net, (z, s, _) = captioner(Plain).eval(), inputs()
    order = [0, 1, 3, 2]  # torch: input, forget, candidate, output
    cell = nn.LSTMCell(WORDS + FEATURES, HIDDEN).double()
    joined = torch.cat([net.cell.word.W, net.cell.video.W], 1)  # type: ignore[arg-type,list-item]
    with torch.no_grad():
        cell.weight_ih.copy_(joined[order].transpose(1, 2).reshape(4 * HIDDEN, -1))
        cell.weight_hh.copy_(net.cell.state.W[order].transpose(1, 2).reshape(4 * HIDDEN, -1))  # type: ignore[index,operator]
        cell.bias_ih.copy_(net.cell.bias[order].flatten())
        cell.bias_hh.zero_()
    x, h, c = torch.randn(BATCH, WORDS).double(), *torch.randn(2, BATCH, HIDDEN).double()
    clip = net.cell.clip(z, s)
    ours = net.cell.step(net.cell.word(x, clip.of_word), (h, c), clip)
    theirs = cell(torch.cat([x, z], 1), (h, c))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


def test_what_depends_on_the_clip_alone_is_computed_once_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    net, (z, s, words) = captioner(), inputs()
    calls: dict[str, int] = {}
    for name in ("word", "video", "state"):
        term = getattr(net.cell, name)

        def counted(*args: Tensor, name: str = name, forward=term.forward) -> Tensor:  # type: ignore[no-untyped-def]
            calls[name] = calls.get(name, 0) + 1
            return forward(*args)

        monkeypatch.setattr(term, "forward", counted)
    net(z, s, words, LENGTHS)
    assert calls == {"word": 1, "video": 1, "state": STEPS}  # with known words, theirs are computed together
    calls.clear()
    net.eval()
    greedy(net, z, s, steps=9)
    assert calls == {"word": 9, "video": 1, "state": 9}


# Parameters of the official nets, counted in its code.


@pytest.mark.parametrize(
    ("hidden", "classes", "trained", "frozen"),
    [(512, 12_594, 15_235_378, 3_778_200), (1024, 13_796, 37_772_772, 4_138_800)],
    ids=["MSVD", "MSR-VTT"],
)
def test_captioners_have_the_parameters_of_the_official_ones(
    hidden: int, classes: int, trained: int, frozen: int
) -> None:
    with torch.device("meta"):
        net = Captioner(torch.empty(classes, 300), 300, 3584, hidden)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in net.parameters()]
    assert sum(size for size, learns in sizes if learns) == trained
    assert sum(size for size, learns in sizes if not learns) == frozen
    assert sum(len(parameter) for name, parameter in net.named_parameters() if name[-2:] in (".A", ".B", ".C")) == 36


def test_the_tag_net_has_the_parameters_of_the_official_one() -> None:
    assert sum(parameter.numel() for parameter in TagNet(3584, 512, 300).parameters()) == 2_252_076


# Tags


def test_the_tag_net_is_three_matrices_and_two_rectifiers() -> None:
    net, z = TagNet(FEATURES, 4, TAGS).eval(), torch.randn(FEATURES)
    hidden: list[float] = z.tolist()
    for number, layer in enumerate((net.first, net.second, net.last)):
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        hidden = [sum(w * u for w, u in zip(row, hidden, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        hidden = [max(value, 0.0) for value in hidden] if number < 2 else hidden
    assert net(z[None])[0].tolist() == pytest.approx(hidden, abs=1e-6)


def test_dropout_stands_before_each_matrix_of_the_tag_net() -> None:
    net, seen = TagNet(200, 300, TAGS, dropout=0.5), []
    for layer in (net.first, net.second, net.last):
        layer.register_forward_pre_hook(lambda _layer, args: seen.append(args[0]))
    net(torch.ones(1, 200))
    for number, values in enumerate(seen):
        assert float((values == 0).float().mean()) > (0.35 if number == 0 else 0.6)  # a rectifier drops half as well
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}


def test_the_loss_of_tags_is_a_sum_over_tags_and_a_mean_over_clips() -> None:
    logits, present = torch.randn(BATCH, TAGS), torch.randint(2, (BATCH, TAGS))
    expected = 0.0
    for n in range(BATCH):
        for k in range(TAGS):
            s = 1 / (1 + math.exp(-float(logits[n, k])))
            expected -= math.log((s if present[n, k] else 1 - s) + 1e-6) / BATCH
    assert float(tag_loss(logits, present)) == pytest.approx(expected, rel=1e-5)
    assert math.isfinite(float(tag_loss(torch.tensor([[1e4]]), torch.tensor([[0]]))))


# Length


def test_beta_0_is_the_sum_and_beta_1_the_mean_of_the_words_of_each_caption() -> None:
    lengths = torch.tensor([4, 2, 1])
    logits, words = torch.randn(7, CLASSES), torch.randint(CLASSES, (BATCH, STEPS))
    log_p = [of.log_softmax(1) for of in unpacked(logits, lengths)]
    sums = [-sum(float(log_p[n][t, words[n, t]]) for t in range(lengths[n])) for n in range(BATCH)]
    for beta in (0.0, 0.7, 1.0):
        expected = sum(total / int(length) ** beta for total, length in zip(sums, lengths, strict=True)) / BATCH
        assert float(caption_loss(logits, words, lengths, beta)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.7, 1.0])
def test_the_gradient_of_a_word_is_proportional_to_length_to_the_minus_beta(beta: float) -> None:
    lengths = torch.tensor([9, 5, 2, 1])
    logits = torch.zeros(17, CLASSES, dtype=torch.double, requires_grad=True)  # all words alike, in all captions
    caption_loss(logits, torch.ones(4, 9, dtype=torch.int64), lengths, beta).backward()
    assert logits.grad is not None
    gradients = unpacked(logits.grad, lengths)
    of_word = torch.stack([gradient[0, 1].abs() for gradient in gradients])
    assert torch.allclose(of_word / of_word[-1], lengths.double() ** -beta, rtol=1e-5)
    of_caption = torch.stack([gradient[:, 1].abs().sum() for gradient in gradients])
    assert torch.allclose(of_caption / of_caption[-1], lengths.double() ** (1 - beta), rtol=1e-5)


def test_a_caption_is_learned_with_length_to_the_minus_beta_times_its_share() -> None:
    """Half of all captions are "1", half are "1 1 1": what is learned is the share of "1" that goes on."""
    words = torch.tensor([[1, 1, 1, END], [1, END, END, END]])
    lengths = torch.tensor([4, 2])
    for beta in (0.0, 1.0):
        logits = torch.zeros(1, 2, requires_grad=True)  # of the second word: end, or go on
        for _ in range(400):
            rows = torch.cat(
                [torch.tensor([[-9.0, 9.0]] * 2), logits, logits, torch.tensor([[-9.0, 9.0], [9.0, -9.0]])]
            )
            (gradient,) = torch.autograd.grad(caption_loss(rows, words, lengths, beta), logits)
            logits = (logits - gradient).detach().requires_grad_()
        share = 4**-beta / (4**-beta + 2**-beta)  # a half, and a third: beta makes captions shorter
        assert float(logits.detach().softmax(1)[0, 1]) == pytest.approx(share, abs=1e-3)


# Scheduled sampling


def test_the_probability_of_own_words_rises_from_0_to_0_392_in_50_epochs() -> None:
    table = [own_word_probability(epoch) for epoch in range(50)]
    assert table[0] == 0.0
    assert table[-1] == pytest.approx(0.392, abs=1e-12)
    assert table[25] == pytest.approx(0.2, abs=1e-12)
    assert sorted(table) == table


def test_own_words_replace_the_inputs_of_their_steps_and_of_no_others() -> None:
    net, (z, s, words) = captioner().eval(), inputs()
    all_long = torch.tensor([4, 4, 4])
    own = [True, False, True, False]  # at the first step there is no last word
    logits = net(z, s, words, all_long, own, "argmax")
    fed = words.clone()
    fed[:, 1] = torch.stack([of[1] for of in unpacked(net(z, s, words, all_long), all_long)]).argmax(1)
    assert torch.allclose(logits, net(z, s, fed, all_long), rtol=0, atol=1e-12)
    only_first = net(z, s, words, all_long, [True, False, False, False])
    assert torch.equal(net(z, s, words, all_long), only_first)


def test_own_words_are_drawn_from_the_distribution_of_the_last_state_without_dropout() -> None:
    net = captioner()
    h = torch.randn(1, HIDDEN).double()
    drawn = net.own_words(h.expand(20_000, -1), "multinomial").bincount(minlength=CLASSES) / 20_000
    assert torch.allclose(drawn.double(), net.logits(h)[0].detach().softmax(0), rtol=0, atol=0.015)


def test_no_gradient_goes_through_an_own_word() -> None:
    net, (z, s, words) = captioner().eval(), inputs()
    net(z, s, words, LENGTHS, [False, True, True, True], "argmax")[-1].sum().backward()
    gradient = net.cell.word.A.grad
    assert gradient is not None and gradient.any()  # through what was fed it goes
    assert not net.own_words(torch.randn(BATCH, HIDDEN).double().requires_grad_(), "argmax").requires_grad


# Dropout


def note_inputs(term: Factored | Plain, seen: list[Tensor]) -> None:
    term.register_forward_pre_hook(lambda _, args: seen.append(args[0]))


def test_a_mask_is_shared_by_all_steps_of_a_caption_and_differs_between_captions() -> None:
    net = captioner()
    seen: list[Tensor] = []
    note_inputs(net.cell.word, seen)
    z, s, _ = inputs()
    net(z, s, torch.full((BATCH, STEPS), 3), torch.tensor([4, 4, 4]))
    x = seen[0].detach().view(STEPS, BATCH, WORDS)
    assert torch.equal(x[0], z @ net.first)  # the video is not dropped in the first input
    assert torch.equal(x[1], x[2]) and torch.equal(x[2], x[3])
    ratio = x[1] / net.embeddings[3]
    assert set(ratio.unique().round(decimals=9).tolist()) == {0.0, 2.0}
    assert not torch.equal(ratio[0], ratio[1])


def test_nothing_is_dropped_of_own_words_or_when_not_in_training() -> None:
    net, (z, s, words) = captioner(), inputs()
    seen: list[Tensor] = []
    note_inputs(net.cell.word, seen)
    net(z, s, words, LENGTHS, [False, True, True, True])
    rows = {tuple(row) for row in net.embeddings.tolist()}
    assert len(seen) == STEPS  # the known ones together, and one for each own word
    assert all(tuple(row) in rows for u in seen[1:] for row in u.tolist())
    net.eval()
    assert torch.equal(net(z, s, words, LENGTHS), net(z, s, words, LENGTHS))


# Decoding


@torch.no_grad()
def every_caption(net: Captioner, z: Tensor, s: Tensor, steps: int) -> dict[tuple[int, ...], float]:
    """log p of all captions of one clip that end within ``steps`` words, or are cut there."""
    found: dict[tuple[int, ...], float] = {}

    def grow(prefix: list[int], total: float) -> None:
        log_p = net(z, s, torch.tensor([[*prefix, END]]), torch.tensor([len(prefix) + 1]))[-1].log_softmax(0)
        for word in range(len(log_p)):
            now = total + float(log_p[word])
            if word == END or len(prefix) + 1 == steps:
                found[tuple([*prefix, word] if word != END else prefix)] = now
            else:
                grow([*prefix, word], now)

    grow([], 0.0)
    return found


def test_a_wide_beam_finds_the_most_likely_caption_of_all() -> None:
    torch.manual_seed(3)
    net = Captioner(3 * torch.randn(4, WORDS), TAGS, FEATURES, HIDDEN).double().eval()
    z, s = 4 * torch.randn(2, FEATURES).double(), torch.rand(2, TAGS).double()
    for n, words in enumerate(beam(net, z, s, size=64, steps=3)):
        captions = every_caption(net, z[n : n + 1], s[n : n + 1], 3)
        assert tuple(words) == max(captions, key=lambda caption: captions[caption])


def test_a_beam_of_one_is_greedy_and_greedy_takes_the_likeliest_word_of_each_step() -> None:
    net, (z, s, _) = captioner().eval(), inputs()
    found = greedy(net, z, s, steps=6)
    assert beam(net, z, s, size=1, steps=6) == found
    for n, words in enumerate(found):
        fed = torch.tensor([[*words, END]])
        likeliest = net(z[n : n + 1], s[n : n + 1], fed, torch.tensor([fed.shape[1]])).argmax(1).tolist()
        assert likeliest[: len(words)] == words
        assert len(words) == 6 or likeliest[len(words)] == END
