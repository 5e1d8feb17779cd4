"""The application and its verbs."""

from __future__ import annotations

import typer

from recurra import __version__
from recurra.cli import forecasting

__all__ = ["app"]

app = typer.Typer(
    help="Recurrent neural networks for the sequences people have, on an ordinary computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(help="Train a model and write it to a folder.", no_args_is_help=True)
app.add_typer(train, name="train")
app.command("forecast")(forecasting.forecast)
app.command("backtest")(forecasting.backtest)
train.command("forecaster")(forecasting.train_forecaster)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit()
