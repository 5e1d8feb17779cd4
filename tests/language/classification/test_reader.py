"""The network without torch is the network that was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_reviews import reviews

from recurra.language.classification.features import Features
from recurra.language.classification.network import TextNetwork, batch_of, ratios_of
from recurra.language.classification.reader import Reader
from recurra.streaming.pack_layers import pack_layers
from recurra.text.characters import CharacterGrams

TEXTS = [*reviews(30)[0], "x", "A plot of unknown vocabulary"]


def features(most: int = 100) -> Features:
    empty = Features((), CharacterGrams(()), (), most)
    return Features.learn([empty.split(text).words for text in TEXTS[:20]], most)


@pytest.mark.parametrize(("cell", "layers", "members"), [("lstm", 1, 2), ("gru", 2, 1), ("mingru", 1, 1)])
def test_the_reader_is_the_network(cell: str, layers: int, members: int) -> None:
    known = features()
    split = [known.split(text).words for text in TEXTS]
    labels = np.arange(len(split)) % 3
    network: Any = TextNetwork(
        ratios_of(known.encode(split), labels, 3, len(known.runs) + 1),
        members,
        len(known.words) + 1,
        known.grams.size,
        3,
        cell=cell,
        size=7,
        hidden_size=5,
        layers=layers,
        dropout=0.5,
        word_dropout=0.5,
    ).eval()
    with torch.no_grad():
        wanted = network.together(batch_of(known.encode(split), [0] * len(split))).numpy()
    weights = {"runs": (network.runs.ratios * network.runs.weight[:, None]).detach().numpy()}
    programs = {}
    for number, member in enumerate(network.members):
        tables = {"words": member.words.weight, "pieces": member.pieces.weight}
        tables |= {"head": member.head.weight, "bias": member.head.bias}
        weights |= {f"{number}.{name}": table.detach().numpy() for name, table in tables.items()}
        programs |= {f"{number}.{name}": each for name, each in pack_layers(member.stack).items()}
    found = Reader(known, weights, programs, members, 3).scores(split)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_padding_may_hold_anything() -> None:
    known = features()
    sizes = {"size": 4, "hidden_size": 3, "layers": 1, "dropout": 0, "word_dropout": 0}
    ratios = torch.ones(len(known.runs) + 1, 2)
    network: Any = TextNetwork(
        ratios, 1, len(known.words) + 1, known.grams.size, 2, cell="lstm", **sizes
    ).eval()
    split = [known.split(text).words for text in TEXTS[:5]]
    batch = batch_of(known.encode(split), [0] * 5)
    outside = torch.arange(batch.known.shape[1])[None] >= batch.lengths[:, None]
    other = batch._replace(
        known=batch.known.masked_fill(outside, 1), which=batch.which.masked_fill(outside, 2)
    )
    with torch.no_grad():
        torch.testing.assert_close(network(batch), network(other))


def test_a_long_text_is_read_from_both_ends() -> None:
    known = features(most=5)
    text = "one two three four five six seven"
    words, spans = known.split(text)
    assert words == ("one", "two", "three", "six", "seven")
    assert [text[a:b] for a, b in spans] == list(words)
    assert features(most=1).split(text).words == ("one",)
