"""How the network sees the sales of a series, and in what units it answers: by level, or by trend and season."""
