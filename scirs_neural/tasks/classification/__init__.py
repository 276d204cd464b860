"""One class of several for each sample."""
