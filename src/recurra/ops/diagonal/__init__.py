"""Recurrences in which each unit sees only itself: h = a ⊙ h + b."""
