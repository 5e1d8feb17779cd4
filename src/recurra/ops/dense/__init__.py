"""Recurrences in which h goes through a matrix at every step: LSTM and GRU."""
