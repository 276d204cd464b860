"""One or several numbers for each sample."""
