"""Sessions: what they give depends on nothing but their seed, their settings and what they were given."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from recurra import native, ops, state
from recurra.cells import GRU, LSTM
from recurra.decoding import Sampling
from recurra.errors import InputError, UsageError
from recurra.networks import Recurrent
from recurra.networks.attention import Attention
from recurra.networks.decoder import AttentionDecoder
from recurra.networks.embeddings import Embedding
from recurra.networks.heads import AdaptiveSoftmaxHead, SoftmaxHead
from recurra.networks.tokens import TokenNetwork
from recurra.streaming.pack import agreement, pack, trace
from recurra.streaming.packed import Packed
from recurra.streaming.reference import Reference
from recurra.streaming.run import Engine, Session

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

V, E, H = 50, 24, 40
SETTINGS = Sampling(temperature=0.9, top_k=20, top_p=0.95, repetition_penalty=1.2, repetition_window=8)


def network(cell: str = "lstm", seed: int = 0) -> TokenNetwork:
    generator = torch.Generator().manual_seed(seed)
    kind = {"lstm": LSTM, "gru": GRU}[cell]
    embedding = Embedding(V, E, generator=generator)
    stack = Recurrent([kind(E, H, generator=generator), kind(H, E, generator=generator)])
    net = TokenNetwork(embedding, stack, SoftmaxHead(E, weight=embedding.weight)).eval()
    with torch.no_grad():
        embedding.weight.mul_(20)  # far enough from uniform that a wrong score is another token
    return net


@pytest.fixture(scope="module", params=["float32", "int8"])
def packed(request: pytest.FixtureRequest) -> Packed:
    return pack(network(), request.param)


@pytest.fixture
def engine(packed: Packed) -> Engine:
    return Engine(packed, threads=2)


@pytest.fixture
def variant_of_before() -> Iterator[None]:
    before = native.extension().variant()
    yield
    native.extension().use(before)


def written(session: Session, count: int) -> list[int]:
    session.read(np.array([1, 2, 3]))
    return session.generate(count)


def test_a_tied_matrix_is_packed_once(packed: Packed) -> None:
    assert [each.shape for each in packed.matrices].count((V, E)) == 1


def test_sixty_four_sessions_at_random_are_each_as_alone(engine: Engine, packed: Packed) -> None:
    alone = Engine(packed, threads=1)
    wanted = [written(alone.session(sampling=SETTINGS, seed=each), 12) for each in range(64)]
    sessions = [engine.session(sampling=SETTINGS, seed=each) for each in range(64)]
    found: list[list[int]] = [[] for _ in sessions]
    for session in sessions:
        session.read(np.array([1, 2, 3]))
    draws = random.Random(0)
    while left := [each for each in range(64) if len(found[each]) < 12]:
        chosen = draws.sample(left, draws.randint(1, len(left)))
        tokens = engine.advance([sessions[each] for each in chosen])
        for each, token in zip(chosen, tokens, strict=True):
            assert token is not None
            found[each].append(token)
    assert found == wanted
    assert len({tuple(each) for each in found}) > 50


def test_a_session_goes_on_in_another_process(engine: Engine, packed: Packed, tmp_path: Path) -> None:
    session = engine.session(sampling=SETTINGS, seed=5)
    written(session, 7)
    packed.save(tmp_path / "net.packed")
    (tmp_path / "session").write_bytes(session.save())
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from recurra.streaming.packed import Packed; from recurra.streaming.run import Engine\n"
        "from recurra.decoding import Sampling\n"
        f"session = Engine(Packed.load('net.packed')).restore(open('session', 'rb').read())\n"
        f"session.sample_with({SETTINGS!r}); print(session.generate(30))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(session.generate(30))


def test_a_fork_goes_its_own_way(engine: Engine) -> None:
    session = engine.session(sampling=SETTINGS, seed=1)
    written(session, 5)
    fork = session.fork()
    assert fork.generate(10) == (kept := session.generate(10))
    fork.read(np.array([4]))
    assert fork.generate(10) != session.generate(10)
    assert session.history[-20:-10] == kept
    assert len(engine) == 2
    fork.close()
    assert len(engine) == 1
    engine.session()  # nothing refers to it: its slot comes back
    assert len(engine) == 1


def test_steps_are_those_of_the_network(packed: Packed) -> None:
    found = agreement(network(), packed)
    assert found.error < (1e-5 if packed.matrices[0].format == "float32" else 0.05)
    assert found.first_choice > 0.9


def test_a_state_may_come_from_elsewhere() -> None:
    net = network("gru")
    engine = Engine(pack(net))
    before = state.transform(torch.randn_like, net.initial_state(1))
    session = engine.session()
    session.set_state({name: leaf[0].numpy() for name, leaf in state.flatten(before).items()})
    with torch.no_grad():
        wanted, _ = net.step(torch.tensor([7]), before)
    np.testing.assert_allclose(session.read(np.array([7])), wanted[0].numpy(), rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="no such tensor"):
        session.set_state({"nowhere": np.zeros(3)})
    with pytest.raises(UsageError, match=r"\(40,\)"):
        session.set_state({next(iter(session.state)): np.zeros(3)})


def test_generating_streaming_and_stepping_are_one(engine: Engine) -> None:
    settings = Sampling(temperature=0.8, max_tokens=9, stop=(17,))
    first, second, third = (engine.session(sampling=settings, seed=3) for _ in range(3))
    for each in (first, second, third):
        each.read(np.array([1]))
    tokens = first.generate(100)
    assert tokens == list(second.stream())
    assert 0 < len(tokens) <= 9
    by_hand = []
    while (token := third.next()) is not None:
        by_hand.append(token)
    assert by_hand == tokens
    assert third.ended
    assert first.generate(5) == []


def test_settings_masks_and_forced_tokens(engine: Engine) -> None:
    session = engine.session(sampling=Sampling(forced=(4, 5), temperature=0))
    session.read(np.array([1]))
    assert session.generate(2) == [4, 5]
    mask = np.zeros(V, bool)
    mask[[8, 9]] = True
    session.allow(np.packbits(mask, bitorder="little"))
    assert set(session.generate(20)) <= {8, 9}
    session.allow(np.zeros(7, np.uint8))
    with pytest.raises(InputError, match="no token is left"):
        session.generate(1)
    session.allow(None)
    assert len(session.generate(3)) == 3
    with pytest.raises(UsageError):
        session.allow(np.zeros(2, np.uint8))
    with pytest.raises(UsageError):
        session.sample_with(Sampling(banned=(V,)))


def test_what_does_not_fit_is_said(engine: Engine, packed: Packed) -> None:
    session = engine.session()
    with pytest.raises(UsageError, match="not given any token"):
        session.generate(1)
    with pytest.raises(UsageError, match=f"token {V} is none of 0 … {V - 1}"):
        session.read(np.array([1, V]))
    with pytest.raises(UsageError, match="whole numbers"):
        session.read(np.array([0.5]))
    with pytest.raises(UsageError, match="twice"):
        engine.step([session, session], np.array([1, 2]))
    with pytest.raises(UsageError, match="another engine"):
        Engine(packed).step([session], np.array([1]))
    with pytest.raises(UsageError, match="seed"):
        engine.session(seed=-1)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.generate(1)
    foreign = Engine(pack(network("gru"))).session().save()
    with pytest.raises(InputError, match="another network"):
        engine.restore(foreign)
    with pytest.raises(InputError):
        engine.restore(b"nothing of the kind")
    assert len(engine) == 0


def test_scores_that_are_not_numbers_are_an_error() -> None:
    net = network()
    with torch.no_grad():
        net.head.bias[3] = float("nan") if net.head.bias is not None else 0.0
    engine = Engine(pack(net, bound=float("inf")))
    session = engine.session()
    session.read(np.array([1]))
    with pytest.raises(InputError, match="not numbers"):
        session.generate(1)


def test_threads_take_turns(engine: Engine, packed: Packed) -> None:
    wanted = [written(Engine(packed).session(seed=each), 200) for each in range(4)]
    found: dict[int, list[int]] = {}
    workers = [
        threading.Thread(
            target=lambda each=each: found.update({each: written(engine.session(seed=each), 200)})
        )
        for each in range(4)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [found[each] for each in range(4)] == wanted


def test_an_adaptive_softmax_gives_all_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    stack = Recurrent([GRU(E, H, generator=generator)])
    net = TokenNetwork(
        Embedding(V, E, generator=generator), stack, AdaptiveSoftmaxHead(H, V, (10, 30))
    ).eval()
    scores = Engine(pack(net)).session().read(np.array([1, 2]))
    assert np.exp(scores).sum() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("variant", native.extension().variants())
def test_attention_reads_what_its_session_remembers(variant: str, variant_of_before: None) -> None:
    native.extension().use(variant)
    generator = torch.Generator().manual_seed(0)
    stack = Recurrent([LSTM(E + H, H, generator=generator)])
    attention = Attention(H, 12, attention_size=16, heads=2, generator=generator)
    net = AttentionDecoder(Embedding(V, E, generator=generator), stack, attention, SoftmaxHead(H, V)).eval()
    engine = Engine(pack(net))
    lengths = torch.tensor([5, 0, 9])
    with torch.no_grad():
        memory = attention.memory(torch.randn(3, 9, 12), lengths)
        before, wanted = net.initial_state(3), []
        for token in (3, 4):
            y, before = net.step(torch.full((3,), token), before, memory)
            wanted.append(y.numpy())
    sessions = [engine.session() for _ in range(3)]
    for row, session in enumerate(sessions):
        length = int(lengths[row])
        session.remember(memory.keys[row, :length].numpy(), memory.values[row, :length].numpy())
    reference = Reference(trace(net), 3)
    reference.memories = [(memory.keys.numpy(), memory.values.numpy(), lengths.numpy())]
    for token, scores in zip((3, 4), wanted, strict=True):
        for found in (engine.step(sessions, np.full(3, token)), reference.step(np.full(3, token))[0]):
            np.testing.assert_allclose(np.reshape(found, scores.shape), scores, rtol=1e-4, atol=1e-5)
    restored = engine.restore(sessions[2].save())
    np.testing.assert_array_equal(restored.read(np.array([6])), sessions[2].fork().read(np.array([6])))
    with pytest.raises(UsageError, match=r"\(M, 16\)"):
        sessions[0].remember(np.zeros((2, 3)), np.zeros((2, 3)))


@pytest.mark.slow
def test_a_million_steps_leak_nothing() -> None:
    """What a session remembers is bounded, however long it runs."""
    net = TokenNetwork(Embedding(V, 8), Recurrent([GRU(8, 8)]), SoftmaxHead(8, V)).eval()
    engine = Engine(pack(net), threads=1)
    session = engine.session()
    session.read(np.array([1]))
    for _ in range(200):
        session.generate(1000)
        with session.fork() as fork:
            fork.read(np.arange(V))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(800):
        session.generate(1000)
        with session.fork() as fork:
            fork.read(np.arange(V))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048  # KiB
    assert len(engine) == 1
    assert len(session.history) == 65_536
