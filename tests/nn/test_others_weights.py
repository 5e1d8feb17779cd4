"""Weights that others trained give, in recurra's layers, what they give in the code they were trained for.

The packages are only read, never imported: `pip install --no-deps -r tests/requirements-weights.txt`.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import recurra.nn

GOLDEN = Path(__file__).parents[1] / "golden"
G2P = json.loads((GOLDEN / "g2p_en.json").read_text(encoding="utf-8"))
LETTERS, PHONEMES, EXPECTED = G2P["graphemes"], G2P["phonemes"], G2P["words"]
START, END, MOST = PHONEMES.index("<s>"), PHONEMES.index("</s>"), 20


def file_of(package: str, path: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is absent: pip install --no-deps -r tests/requirements-weights.txt")
    return Path(spec.origin).parent / path


@pytest.fixture(scope="module")
def g2p() -> dict[str, Tensor]:
    with np.load(file_of("g2p_en", "checkpoint20.npz"), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def weights_of(g2p: dict[str, Tensor], part: str, suffix: str = "") -> dict[str, Tensor]:
    """The encoder's or the decoder's GRU, by torch's names."""
    short = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
    return {f"{name}{suffix}": g2p[f"{part}_{its}"] for name, its in short.items()}


@torch.no_grad()
def pronounce(words: list[str], g2p: dict[str, Tensor]) -> list[str]:
    """All words in one ragged batch: letters through the encoder, phonemes out of the decoder, each the likeliest."""
    size = g2p["enc_emb"].shape[1]
    encoder, decoder = recurra.nn.GRU(size, size, batch_first=True), recurra.nn.GRUCell(size, size)
    encoder.load_state_dict(weights_of(g2p, "enc", "_l0"))
    decoder.load_state_dict(weights_of(g2p, "dec"))
    rows = [
        [LETTERS.index(each) if each in LETTERS else LETTERS.index("<unk>") for each in [*word, "</s>"]]
        for word in words
    ]
    letters = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    _, h = encoder(g2p["enc_emb"][letters], lengths=torch.tensor([len(row) for row in rows]))
    h, last, said = h[0], torch.full((len(words),), START), []
    for _ in range(MOST):
        h = decoder(g2p["dec_emb"][last], h)
        last = (h @ g2p["fc_w"].T + g2p["fc_b"]).argmax(-1)
        said.append(last)
    spoken = torch.stack([*said, torch.full_like(last, END)], 1).tolist()
    return [" ".join(PHONEMES[each] for each in row[: row.index(END)]) for row in spoken]


def test_g2p_en_pronounces_as_its_own_code_does(g2p: dict[str, Tensor]) -> None:
    words = list(EXPECTED)
    assert dict(zip(words, pronounce(words, g2p), strict=True)) == EXPECTED


def test_g2p_en_pronounces_a_word_alone_as_in_a_batch(g2p: dict[str, Tensor]) -> None:
    assert pronounce(["activationist"], g2p) == [EXPECTED["activationist"]]


@pytest.mark.parametrize("number", [0, 1])
@torch.no_grad()
def test_easyocr_reads_as_in_torch(number: int) -> None:
    path = file_of("easyocr_en_models", "models/english_g2.pth")
    # The one pickle here: its package has no other form, and weights_only runs no code.
    state = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    prefix = f"module.SequenceModeling.{number}.rnn."
    weights = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
    theirs = torch.nn.LSTM(256, 256, bidirectional=True, batch_first=True)
    ours = recurra.nn.LSTM(256, 256, bidirectional=True, batch_first=True)
    theirs.load_state_dict(weights)
    ours.load_state_dict(weights)
    x = torch.randn(3, 40, 256, generator=torch.Generator().manual_seed(1))
    (expected, (h, c)), (y, last) = theirs(x), ours(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(last, (h, c), rtol=1e-5, atol=2e-6)
