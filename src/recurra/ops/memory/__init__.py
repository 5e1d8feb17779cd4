"""Recurrences whose state is a matrix for each head: S = S(diag(w) + a bᵀ) + v kᵀ, read as o = S q."""
