"""Captions from tags and video features (Chen et al., "SAM-SS", arXiv:1909.00121, Frontiers in Robotics and AI 2020).

Four ideas, in the order of the paper:

- a *semantic detection network* gives the probability of each of 300 words, the tags, from a clip's features;
- the *S-LSTM* writes the caption; each of its weight matrices is a mixture of as many matrices as there are tags,
  weighted by the tags' probabilities: ``W(s) = A diag(s B) C``;
- *scheduled sampling*: in training a step is fed the model's own last word with a probability that rises by epochs;
- the loss of a caption is divided by ``length^beta``: 0 is the plain sum, which favours short captions, 1 the mean.

Read in the official code (commit 409ca8b), which has no tables; the paper's ablations were not recovered, and nothing
of ours is held against them. Notation: B clips, T words, n_x numbers a word, n_y tags, n_z features, n_f factors, n_h
hidden units, and four gates: input, forget, output, candidate. Word 0 ends a caption, and pads what is shorter.

Claim C4 of the paper: shown in examples.
Ours at small (n = 5): words of full 4.46, of beta-0 5.00. Runtime: not measured on a quiet machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GATES = 4
END = 0

# Tags -------------------------------------------------------------------------------------------------------------


class TagNet(nn.Module):
    """The semantic detection network: two hidden layers, dropout before each of its three matrices.

    Args:
        features: n_z.
        hidden: units of both hidden layers.
        tags: n_y.
        dropout: share of inputs and of hidden units that are dropped.
    """

    def __init__(self, features: int, hidden: int, tags: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, tags)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.first, self.second, self.last):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Logits (B, n_y) of the tags from features (B, n_z); their sigmoid is what the captioner is told."""
        hidden = F.relu(self.first(self.dropout(z)))
        hidden = F.relu(self.second(self.dropout(hidden)))
        return self.last(self.dropout(hidden))


def tag_loss(logits: Tensor, present: Tensor, floor: float = 1e-6) -> Tensor:
    """``sum over tags of -y log(s + floor) - (1 - y) log(1 - s + floor)``, the mean over clips.

    Args:
        logits: (B, n_y).
        present: (B, n_y), 1 for each tag that occurs in any caption of the clip.
        floor: keeps the logarithms finite.
    """
    s, y = torch.sigmoid(logits.float()), present.float()
    return -(y * torch.log(s + floor) + (1 - y) * torch.log(1 - s + floor)).sum(1).mean()


# The cell ---------------------------------------------------------------------------------------------------------


def glorot(*shape: int) -> nn.Parameter:
    """A matrix, or several of them, each with Glorot's normal initial values."""
    weight = torch.empty(shape)
    for matrix in weight.view(-1, *shape[-2:]):
        nn.init.xavier_normal_(matrix)
    return nn.Parameter(weight)


class Factored(nn.Module):
    """One term of the four gates, weighted by tags: ``((u A_g) * (s B_g)) C_g`` for each gate g.

    That is ``u W_g(s)`` with ``W_g(s) = A_g diag(s B_g) C_g``. Without tags (s = 0) it is zero.
    """

    def __init__(self, inputs: int, tags: int, factors: int, hidden: int) -> None:
        super().__init__()
        self.A = glorot(GATES, inputs, factors)
        self.B = glorot(GATES, tags, factors)
        self.C = glorot(GATES, factors, hidden)

    def weigh(self, s: Tensor) -> Tensor:
        """``s B_g`` (4, B, n_f), the same for all words of a clip, from tags (B, n_y)."""
        return s @ self.B

    def forward(self, u: Tensor, weights: Tensor) -> Tensor:
        """The term (4, B, n_h) from inputs (B, n) and the weights of their clips."""
        return ((u @ self.A) * weights) @ self.C


class Plain(nn.Module):
    """The same term of an LSTM that knows no tags: ``u W_g``."""

    def __init__(self, inputs: int, _tags: int, _factors: int, hidden: int) -> None:
        super().__init__()
        self.W = glorot(GATES, inputs, hidden)

    def weigh(self, s: Tensor) -> Tensor:
        """Nothing: no weights (4, B, 0)."""
        return s.new_zeros(GATES, len(s), 0)

    def forward(self, u: Tensor, _weights: Tensor) -> Tensor:
        """The term (4, B, n_h) from inputs (B, n)."""
        return u @ self.W


@dataclass(frozen=True)
class Clip:
    """What the cell needs to know of clips, the same for all words of a caption.

    Attributes:
        video: the term of the video features and the biases, (4, B, n_h).
        of_word: what tags make of the matrices of words, (4, B, n_f).
        of_state: and of those of the hidden state.
    """

    video: Tensor
    of_word: Tensor
    of_state: Tensor

    def repeated(self, times: int) -> Clip:
        """Each clip several times in a row, for the hypotheses of a beam."""
        return Clip(*(part.repeat_interleave(times, dim=1) for part in (self.video, self.of_word, self.of_state)))

    def first(self, n: int) -> Clip:
        """The first clips."""
        return Clip(*(part[:, :n] for part in (self.video, self.of_word, self.of_state)))


State = tuple[Tensor, Tensor]  # h and c, (B, n_h) each


class SLSTM(nn.Module):
    """The LSTM whose gates are sums of a word's, a clip's and the hidden state's terms, and a bias.

    ``a = X + V + H + b``; ``i, f, o = sigmoid(a_i, a_f, a_o)``; ``c' = f * c + i * tanh(a_c)``; ``h' = o * tanh(c')``.

    Args:
        words: n_x.
        tags: n_y.
        features: n_z.
        hidden: n_h.
        factors: n_f.
        term: `Factored`, or `Plain` for an LSTM without tags.
    """

    def __init__(
        self, words: int, tags: int, features: int, hidden: int, factors: int, term: type[Factored | Plain] = Factored
    ) -> None:
        super().__init__()
        self.word = term(words, tags, factors, hidden)
        self.video = term(features, tags, factors, hidden)
        self.state = term(hidden, tags, factors, hidden)
        self.bias = nn.Parameter(torch.zeros(GATES, 1, hidden))

    def clip(self, z: Tensor, s: Tensor) -> Clip:
        """All that depends on the clip alone, from its features (B, n_z) and tags (B, n_y): once a caption."""
        return Clip(self.video(z, self.video.weigh(s)) + self.bias, self.word.weigh(s), self.state.weigh(s))

    def step(self, word: Tensor, state: State, clip: Clip) -> State:
        """The next state, from a word's term (4, B, n_h) and the last state."""
        h, c = state
        a = word + clip.video + self.state(h, clip.of_state)
        i, f, o = torch.sigmoid(a[:3])
        c = f * c + i * torch.tanh(a[3])
        return o * torch.tanh(c), c


# The captioner ----------------------------------------------------------------------------------------------------


class Captioner(nn.Module):
    """Writes a caption word by word. The first input is made of the video, each further one is the last word.

    The output is tied to the embeddings through a learned matrix: ``logits = h (E W)^T + b``.

    Args:
        embeddings: E, float32 (n_v, n_x); word 0 is the end.
        tags: n_y.
        features: n_z.
        hidden: n_h, and n_f.
        dropout: share that is dropped of words, tags, features and hidden units, by one mask a caption.
        term: `Factored`, or `Plain` for an LSTM without tags.
        trained: whether embeddings are trained; in the paper they are not.
    """

    def __init__(
        self,
        embeddings: Tensor,
        tags: int,
        features: int,
        hidden: int,
        *,
        dropout: float = 0.5,
        term: type[Factored | Plain] = Factored,
        trained: bool = False,
    ) -> None:
        super().__init__()
        classes, words = embeddings.shape
        self.dropout = dropout
        self.embeddings = nn.Parameter(embeddings.clone(), requires_grad=trained)
        self.first = glorot(features, words)
        self.cell = SLSTM(words, tags, features, hidden, hidden, term)
        self.output = glorot(words, hidden)
        self.output_bias = nn.Parameter(torch.zeros(classes))

    def forward(
        self,
        z: Tensor,
        s: Tensor,
        words: Tensor,
        lengths: Tensor,
        own: Sequence[bool] = (),
        pick: str = "multinomial",
    ) -> Tensor:
        """Logits of each word of captions, given those before it, or what the model itself made of them.

        A caption that has ended is computed no further: at step t there are the first ``going[t]`` captions.

        Args:
            z: features (B, n_z).
            s: tags (B, n_y).
            words: int64 (B, T), the captions with their ends, the longest first.
            lengths: int64 (B,), with the end.
            own: for each step whether all captions of the batch go on with the model's own last word (scheduled
                sampling; at step 0 it says nothing); empty for teacher forcing.
            pick: how the model's own word is taken: ``multinomial`` or ``argmax``.

        Returns:
            (sum of lengths, n_v), step by step, as `in_steps` has the words.
        """
        n, going = len(words), captions_going_on(lengths)
        clip = self.cell.clip(self.masked(z), self.masked(s))
        caption = torch.cat([torch.arange(count, device=z.device) for count in going])
        mask = self.mask(n, z, self.embeddings.shape[1])
        taught = self.embeddings[in_steps(words, going[1:])] * mask[caption[n:]]
        terms = self.cell.word(torch.cat([z @ self.first, taught]), clip.of_word[:, caption])
        state, outputs = self.start(z), []
        for t, (count, term) in enumerate(zip(going, terms.split(going, dim=1), strict=True)):
            if count < len(state[0]):
                state, clip = (state[0][:count], state[1][:count]), clip.first(count)
            if t and own and own[t]:
                term = self.cell.word(self.embeddings[self.own_words(state[0], pick)], clip.of_word)
            state = self.cell.step(term, state, clip)
            outputs.append(state[0])
        return self.logits(torch.cat(outputs) * self.mask(n, z, state[0].shape[1])[caption])

    def logits(self, h: Tensor) -> Tensor:
        """Logits (..., n_v) from hidden units (..., n_h)."""
        return (h @ self.output.T) @ self.embeddings.T + self.output_bias

    def start(self, z: Tensor) -> State:
        """The first state: zeros."""
        zeros = z.new_zeros(len(z), self.output.shape[1])
        return zeros, zeros

    @torch.no_grad()
    def own_words(self, h: Tensor, pick: str) -> Tensor:
        """The model's own words (B,), from a hidden state without dropout; no gradient goes through the choice."""
        logits = self.logits(h).float()
        if pick == "argmax":
            return logits.argmax(1)
        return torch.multinomial(logits.softmax(1), 1)[:, 0]

    def mask(self, n: int, like: Tensor, width: int) -> Tensor:
        """What dropout multiplies by (n, width), the same at all steps of a caption; ones when not in training."""
        return F.dropout(like.new_ones(n, width), self.dropout, self.training)

    def masked(self, values: Tensor) -> Tensor:
        """Values (B, n) with dropout."""
        return F.dropout(values, self.dropout, self.training)


def own_word_probability(epoch: int, slope: float = 0.008) -> float:
    """The probability of feeding the model's own word in an epoch (from 0): 0 at first, 0.392 in the last of 50."""
    return slope * epoch


def captions_going_on(lengths: Tensor) -> list[int]:
    """How many captions have a word at each step.

    Args:
        lengths: int64 (B,), falling.

    Raises:
        ValueError: they do not fall.
    """
    counts: list[int] = lengths.tolist()
    if sorted(counts, reverse=True) != counts:
        raise ValueError(f"the longest caption has to stand first: {counts}")
    return [sum(length > t for length in counts) for t in range(counts[0])]


def in_steps(words: Tensor, going: Sequence[int]) -> Tensor:
    """The words of captions that go on, step by step: (B, T) -> (sum of ``going``,)."""
    return torch.cat([words[:0, 0], *(words[:count, t] for t, count in enumerate(going))])


def caption_loss(logits: Tensor, words: Tensor, lengths: Tensor, beta: float) -> Tensor:
    """``mean over captions of (sum of -log p of their words) / length^beta``; the end counts as a word.

    The gradient of one word is proportional to ``length^-beta``, the weight of a caption to ``length^(1 - beta)``. So
    what is learned is a distribution in which each caption has ``length^-beta`` times its share.

    Args:
        logits: (sum of lengths, n_v), step by step.
        words: int64 (B, T), the longest caption first.
        lengths: int64 (B,), with the end.
        beta: 0 for the plain sum, 1 for the mean.
    """
    going = captions_going_on(lengths)
    nll = F.cross_entropy(logits.float(), in_steps(words, going), reduction="none")
    weights = lengths.to(words.device).float() ** -beta
    return (nll * in_steps(weights[:, None].expand_as(words), going)).sum() / len(words)


# Decoding ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def greedy(net: Captioner, z: Tensor, s: Tensor, steps: int = 20) -> list[list[int]]:
    """The most likely word at each step, up to the end or the last step: for each clip its words without the end."""
    clip = net.cell.clip(z, s)
    state, x, chosen = net.start(z), z @ net.first, []
    for _ in range(steps):
        state = net.cell.step(net.cell.word(x, clip.of_word), state, clip)
        words = net.logits(state[0]).float().argmax(1)
        chosen.append(words)
        x = net.embeddings[words]
    return [until_end(words) for words in torch.stack(chosen, 1).tolist()]


@torch.no_grad()
def beam(net: Captioner, z: Tensor, s: Tensor, size: int, steps: int = 20) -> list[list[int]]:
    """Beam search: the most likely whole caption among those that are kept. Not in the paper."""
    n, classes = len(z), len(net.embeddings)
    clip = net.cell.clip(z, s).repeated(size)
    x = (z @ net.first).repeat_interleave(size, dim=0)
    state = (net.start(z)[0].repeat_interleave(size, dim=0), net.start(z)[1].repeat_interleave(size, dim=0))
    words = torch.zeros(n * size, 0, dtype=torch.int64, device=z.device)
    # All beams of a clip are the same at first, so only the first one counts.
    scores = torch.full((n, size), float("-inf"), device=z.device)
    scores[:, 0] = 0.0
    ended = torch.zeros(n * size, dtype=torch.bool, device=z.device)
    ends = torch.full((classes,), float("-inf"), device=z.device)
    ends[END] = 0.0  # a caption that has ended goes on with ends, at no cost
    for _ in range(steps):
        state = net.cell.step(net.cell.word(x, clip.of_word), state, clip)
        log_p = torch.where(ended[:, None], ends, net.logits(state[0]).float().log_softmax(1))
        scores, best = (scores[..., None] + log_p.view(n, size, classes)).flatten(1).topk(size, dim=1)
        rows = (torch.arange(n, device=z.device)[:, None] * size + best // classes).flatten()
        last = (best % classes).flatten()
        words = torch.cat([words[rows], last[:, None]], dim=1)
        state, ended, x = (state[0][rows], state[1][rows]), ended[rows] | (last == END), net.embeddings[last]
    return [until_end(found) for found in words.view(n, size, -1)[:, 0].tolist()]


def until_end(words: list[int]) -> list[int]:
    """The words before the first end."""
    return words[: words.index(END)] if END in words else words
