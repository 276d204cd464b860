"""Floor 0: names, errors, seeds and paths. Nothing here imports torch."""
