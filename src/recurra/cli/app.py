"""The application and its verbs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from recurra import __version__
from recurra.cli import classifying, forecasting, machine, packing, suggesting, tagging, updating, writing

__all__ = ["app"]


class _Verb(TyperCommand):
    """A verb, whose help shows its options in panels; the lists of verbs are plain, to come without loading rich."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.rich_markup_mode = "rich"
        super().format_help(ctx, formatter)


app = typer.Typer(
    help="Recurrent neural networks for the sequences people have, on an ordinary computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
train = typer.Typer(help="Train a model and write it to a folder.", no_args_is_help=True)
app.add_typer(train, name="train")
# The short help is what fits into one line of the list.
for group, name, verb, short in (
    (app, "forecast", forecasting.forecast, "Forecast sales, and from that what to order now."),
    (app, "update", updating.update, "Read new sales into a trained forecaster."),
    (app, "backtest", forecasting.backtest, "Say how good forecasts of the past would have been."),
    (app, "suggest", suggesting.suggest, "Suggest the rest of the word and the next words."),
    (app, "type", suggesting.type_text, "Type a text in the terminal, with completions."),
    (app, "write", writing.write, "Write on from a prompt."),
    (app, "pack", packing.pack, "Pack a trained model, to use it without torch."),
    (app, "bench", machine.bench, "Measure recurra's layers beside torch.nn's here."),
    (app, "doctor", machine.doctor, "Say what keeps recurra from being fast here."),
    (app, "tag", tagging.tag, "Give each word of a text its tag."),
    (app, "classify", classifying.classify, "Say the label of texts, with its probability."),
    (train, "classifier", classifying.train_classifier, "Train a classifier on texts and labels."),
    (train, "forecaster", forecasting.train_forecaster, "Train a forecaster on a sales file."),
    (train, "keyboard", suggesting.train_keyboard, "Train predictive text on your own texts."),
    (train, "language", writing.train_language, "Train a language model on your texts."),
    (train, "tagger", tagging.train_tagger, "Train a tagger on tagged sentences."),
):
    group.command(name, cls=_Verb, short_help=short)(verb)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit()
