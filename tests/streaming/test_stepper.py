"""Beam search through the engine finds what it finds through torch, and leaves no session behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra import ops
from recurra.cells import GRU
from recurra.decoding import beam_search
from recurra.networks import Recurrent
from recurra.networks.embeddings import Embedding
from recurra.networks.heads import SoftmaxHead
from recurra.networks.stepper import Stepper as TorchStepper
from recurra.networks.tokens import TokenNetwork
from recurra.streaming.pack import pack
from recurra.streaming.run import Engine
from recurra.streaming.stepper import Stepper

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)


@pytest.mark.parametrize("width", [1, 5])
def test_as_torch_finds(width: int) -> None:
    generator = torch.Generator().manual_seed(3)
    stack = Recurrent([GRU(8, 16, generator=generator)])
    net = TokenNetwork(
        Embedding(12, 8, generator=generator), stack, SoftmaxHead(16, 12, generator=generator)
    ).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(4)
    engine = Engine(pack(net), threads=1)
    sessions = [engine.session() for _ in range(3)]
    sessions[1].read(np.array([4, 5]))
    before = net.initial_state(3)
    with torch.no_grad():
        one = net.initial_state(1)
        for token in (4, 5):
            _, one = net.step(torch.tensor([token]), one)
    before[0][1] = one[0][0]
    stepper = Stepper(sessions)
    options = {"end": 0, "max_length": 9, "width": width, "n_best": width}
    found = beam_search(stepper, [1, 2, 3], **options)
    wanted = beam_search(TorchStepper(net, before), [1, 2, 3], **options)
    for ours, theirs in zip(found, wanted, strict=True):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs]
        np.testing.assert_allclose([each.score for each in ours], [each.score for each in theirs], rtol=1e-4)
    stepper.close()
    assert len(engine) == 3
    assert sessions[1].history == [4, 5]
