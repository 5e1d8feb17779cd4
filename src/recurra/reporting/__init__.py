"""What a person reads: a self-contained HTML page and its pictures."""
