"""Trained networks run one step at a time by the extension, without torch."""
