"""`recurra bench`, `recurra doctor`: how fast this machine is, and what keeps recurra from using it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED, Console

__all__ = ["bench", "doctor"]


def bench(
    full: Annotated[
        bool, typer.Option("--full", help="Measure the whole grid, which takes an hour or two.")
    ] = False,
    inference: Annotated[
        bool, typer.Option("--inference", help="Measure the forward pass alone, without gradients.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for both.", show_default="torch's own number")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for bench.html, with a picture, and bench.json.", show_default="none, only print"
        ),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Measure a training step of recurra's layers beside torch.nn's on this machine."""
    with o.verb(as_json) as console:
        from recurra.bench import grid, limits
        from recurra.bench.tables import result_table, summary_table

        if out is not None:
            from recurra.bench.report import write_report
            from recurra.sources.files import prepare_folder

            prepare_folder(out)
        with limits.threads(threads):
            conditions = grid.Conditions.now(not inference, limits.product_rate(seconds=0.1))
            todo = grid.points(grid.FULL if full else grid.CUT)
            minutes = grid.expected_seconds(todo, conditions) / 60
            console.say(f"· {len(todo)} sizes, {conditions.threads} threads, about {minutes:.0f} minutes")
            found, interrupted = grid.collect(todo, conditions.training)
        if interrupted:
            console.note(f"Interrupted after {len(found)} of {len(todo)} sizes.")
        console.table("recurra.nn beside torch.nn", *result_table(found, conditions))
        console.table("In all", *summary_table(found, conditions))
        files = []
        if out is not None:
            files = [out / "bench.html", out / "bench.json"]
            write_report(files[0], found, conditions, shlex.join(["recurra", *sys.argv[1:]]))
            grid.write(files[1], found, conditions)
        for path in files:
            console.say(f"Wrote {path}")
        document = grid.as_dict(found, conditions)
        console.result(document | {"files": [str(path) for path in files], "interrupted": interrupted})
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the machine, a few seconds.")
    ] = True,
    as_json: o.Json = False,
) -> None:
    """Show versions, the extension, threads and the machine's limits, and say what could be better."""
    with o.verb(as_json) as console:
        from recurra.bench.doctor import examine, findings

        found = examine(measure=measure)
        for sentence in findings(found):
            console.note(sentence)
        _show(console, found)
        console.result(found)


def _show(console: Console, found: dict[str, Any]) -> None:
    extension, ops = found["extension"], found["ops"]
    versions = [[name, version or "not installed"] for name, version in found["versions"].items()]
    variants = ", ".join(extension["variants"] or []) or None
    if extension["built"]:
        built = [["extension", extension["variant"] or "built"], ["it can run", variants]]
        built.append(["OpenMP", {True: "yes", False: "no"}.get(extension["openmp"])])
    else:
        built = [["extension", "not built"]]
    console.table(
        "recurra on this machine",
        ["", "found"],
        [
            *versions,
            ["processor", found["machine"]["cpu"]],
            ["cores", found["machine"]["cores"]],
            *built,
            ["RECURRA_SIMD", extension["forced"] or "not set"],
            ["RECURRA_OPS", ops["RECURRA_OPS"] or "not set"],
            ["threads", found["threads"]["used"]],
            ["OMP_NUM_THREADS", found["threads"]["OMP_NUM_THREADS"] or "not set"],
        ],
    )
    if ops["paths"] is not None:
        rows = [[name, *[", ".join(paths) or "none"]] for name, paths in ops["paths"].items()]
        console.table("Which code runs an operation: the first that fits", ["operation", "paths"], rows)
    if found["limits"] is not None:
        rates = {"matrix products, GFLOP/s": found["limits"]["matrix_product"]}
        rates |= {f"{level} read, GB/s": each for level, each in found["limits"]["read"].items()}
        console.table(
            f"What the machine can do, measured with {found['limits']['by']}",
            ["float32", "one thread", "all threads"],
            [[name, each["one_thread"], each["all_threads"]] for name, each in rates.items()],
        )
