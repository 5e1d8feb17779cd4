"""Makes tests/golden/xlstm.safetensors with the package xlstm (Apache-2.0), its pure torch code, in float64.

In an environment of its own:
    pip install torch==2.13.0 && pip install numpy safetensors omegaconf einops packaging
    pip install --no-deps xlstm==2.0.6
    python tests/golden/make_xlstm.py

`--no-deps` because its GPU kernels (mlstm_kernels) and a compiler's helper (ninja) are not needed here. The README
beside this file names every tensor. Three things about the package matter to who compares with it:

- `sLSTMCellBase.step` gives back the old state, so states are taken from the whole-sequence code instead.
- Its sLSTM starts with m = ĩ while every n of the batch is zero; c, n, m are then those of m₀ = -∞. Outputs
  don't depend on m₀, the last c, n, m do (c·exp(m) and n·exp(m) don't).
- Its sLSTM layer hands the `fgate` weights to the cell's input gate and the `igate` weights to its forget gate.
"""

from __future__ import annotations

import torch
from golden_file import draw, generator, redraw, write
from torch import Tensor
from xlstm import (
    FeedForwardConfig,
    mLSTMBlockConfig,
    mLSTMLayerConfig,
    sLSTMBlockConfig,
    sLSTMLayerConfig,
    xLSTMBlockStack,
    xLSTMBlockStackConfig,
)
from xlstm.blocks.mlstm.backends import (
    chunkwise_simple,
    parallel_stabilized_simple,
    recurrent_step_stabilized_simple,
)
from xlstm.blocks.mlstm.cell import mLSTMCell, mLSTMCellConfig
from xlstm.blocks.slstm.cell import sLSTMCell, sLSTMCellConfig

B, T, HEADS, SIZE = 3, 9, 2, 4


def slstm(rng: torch.Generator, scale: float) -> dict[str, Tensor]:
    """One sLSTM cell from zeros, and on from the state that leaves; the inputs are gate preactivations."""
    hidden = HEADS * SIZE
    cell = sLSTMCell(sLSTMCellConfig(hidden_size=hidden, num_heads=HEADS, backend="vanilla"))
    redraw(cell, rng)
    x = draw(rng, B, T, 4 * hidden, scale=scale)
    again = draw(rng, B, T, 4 * hidden, scale=scale)
    y, last = cell(x)
    states = cell._impl(False, cell._permute_input(x), torch.zeros(4, B, hidden))
    y_again, last_again = cell(again, last)
    state, steps = None, []
    for t in range(T):
        out, state = cell(x[:, t : t + 1], state)
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, 2), y, rtol=1e-12, atol=1e-14)
    return {
        "recurrent_kernel": cell._recurrent_kernel_int2ext(cell._recurrent_kernel),
        "bias": cell._bias_int2ext(cell._bias),
        "input": x.view(B, T, 4, HEADS, SIZE),
        "output": y.transpose(1, 2),
        "states": states[:, 1:].permute(2, 1, 0, 3),
        "last": last.transpose(0, 1),
        "next.input": again.view(B, T, 4, HEADS, SIZE),
        "next.output": y_again.transpose(1, 2),
        "next.last": last_again.transpose(0, 1),
    }


def mlstm(rng: torch.Generator, scale: float) -> dict[str, Tensor]:
    """The mLSTM's operation: parallel, chunked and stepwise, from zeros; stepwise from a given state too."""
    tensors = {name: draw(rng, B, HEADS, T, SIZE) for name in ("q", "k", "v")}
    tensors |= {name: draw(rng, B, HEADS, T, 1, scale=scale) for name in ("igate", "fgate")}
    initial = {
        "C": draw(rng, B, HEADS, SIZE, SIZE),
        "n": draw(rng, B, HEADS, SIZE, 1),
        "m": draw(rng, B, HEADS, 1, 1),
    }
    inputs = (tensors["q"], tensors["k"], tensors["v"], tensors["igate"], tensors["fgate"])
    zeros = {name: torch.zeros_like(each) for name, each in initial.items()}
    # ε = 0 is the paper's formula, which the three forms share; the package's own ε is added to a scaled normalizer.
    for suffix, eps in (("", 0.0), ("_eps", 1e-6)):
        tensors[f"output{suffix}"] = parallel_stabilized_simple(*inputs, eps=eps)
        tensors[f"from_zeros.output{suffix}"], last = mlstm_steps(inputs, zeros, eps)
        tensors[f"from_initial.output{suffix}"], after = mlstm_steps(inputs, initial, eps)
    chunked = chunkwise_simple(*inputs[:3], inputs[3][..., 0], inputs[4][..., 0], chunk_size=3, eps=0.0)
    for form in (tensors["output"], chunked):
        torch.testing.assert_close(form, tensors["from_zeros.output"], rtol=1e-10, atol=1e-12)
    tensors |= {f"from_zeros.last.{name}": each for name, each in last.items()}
    tensors |= {f"from_initial.last.{name}": each for name, each in after.items()}
    return tensors | {f"from_initial.{name}": each for name, each in initial.items()}


def mlstm_steps(
    inputs: tuple[Tensor, ...], state: dict[str, Tensor], eps: float
) -> tuple[Tensor, dict[str, Tensor]]:
    before, outputs = tuple(state.values()), []
    for t in range(T):
        # Cloned: the package squeezes q, k and v in place.
        h, before = recurrent_step_stabilized_simple(
            *before, *(each[:, :, t : t + 1].clone() for each in inputs), eps=eps
        )
        outputs.append(h)
    return torch.cat(outputs, 2), dict(zip(state, before, strict=True))


def mlstm_cell(rng: torch.Generator) -> dict[str, Tensor]:
    """The mLSTM cell of a layer: gates from q, k and v, the operation, the norm of each head."""
    width = HEADS * SIZE
    cell = mLSTMCell(mLSTMCellConfig(context_length=T, embedding_dim=width, num_heads=HEADS))
    redraw(cell, rng)
    q, k, v = (draw(rng, B, T, width) for _ in range(3))
    state, steps = None, []
    for t in range(T):
        out, state = cell.step(
            q[:, t : t + 1].clone(), k[:, t : t + 1].clone(), v[:, t : t + 1].clone(), state
        )
        steps.append(out)
    last = dict(zip(("last.C", "last.n", "last.m"), state, strict=True))
    weights = {f"weights.{name}": each for name, each in cell.state_dict().items()}
    return (
        {"q": q, "k": k, "v": v, "output": cell(q, k, v), "steps.output": torch.cat(steps, 1)}
        | last
        | weights
    )


def stack(rng: torch.Generator) -> dict[str, Tensor]:
    """An mLSTM block, an sLSTM block with its feed-forward layer, and the norm after them."""
    size = 8
    mlstm_layer = mLSTMLayerConfig(num_heads=HEADS, qkv_proj_blocksize=4, round_proj_up_to_multiple_of=4)
    slstm_layer = sLSTMLayerConfig(embedding_dim=size, num_heads=HEADS, backend="vanilla")
    feedforward = FeedForwardConfig(proj_factor=1.5, round_proj_up_to_multiple_of=4)
    config = xLSTMBlockStackConfig(
        mlstm_block=mLSTMBlockConfig(mlstm=mlstm_layer),
        slstm_block=sLSTMBlockConfig(slstm=slstm_layer, feedforward=feedforward),
        context_length=T,
        num_blocks=2,
        embedding_dim=size,
        slstm_at=[1],
    )
    model = xLSTMBlockStack(config).eval()
    redraw(model, rng)
    x = draw(rng, B, T, size)
    between = model.blocks[0](x)
    y = model(x)
    state, steps = None, []
    for t in range(T):
        out, state = model.step(x[:, t : t + 1], state)
        steps.append(out)
    stepped = torch.cat(steps, 1)
    torch.testing.assert_close(stepped, y, rtol=1e-3, atol=1e-4)  # the parallel form adds ε at another scale
    # Not torch's state_dict alone: the sLSTM's parameters stand there in the vanilla code's layout, so both are kept.
    cell = model.blocks[1].xlstm.slstm_cell
    external = {
        "slstm.recurrent_kernel": cell._recurrent_kernel_int2ext(cell._recurrent_kernel),
        "slstm.bias": cell._bias_int2ext(cell._bias),
    }
    weights = {f"weights.{name}": each for name, each in model.state_dict().items()}
    return {"input": x, "between": between, "output": y, "steps.output": stepped} | external | weights


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    rng, tensors = generator(), {}
    parts = {
        "slstm": slstm(rng, 1.0),
        "slstm_large": slstm(rng, 30.0),
        "mlstm": mlstm(rng, 1.0),
        "mlstm_large": mlstm(rng, 30.0),
        "mlstm_cell": mlstm_cell(rng),
        "stack": stack(rng),
    }
    for part, each in parts.items():
        tensors |= {f"{part}.{name}": tensor for name, tensor in each.items()}
    write("xlstm", "xlstm", "Apache-2.0", tensors, heads=HEADS, gates="i, f, z, o", state="y, c, n, m")


if __name__ == "__main__":
    with torch.no_grad():
        main()
