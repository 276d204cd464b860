"""Names, errors, seeds and paths. Nothing here imports torch."""
