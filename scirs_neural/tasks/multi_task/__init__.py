"""Several targets, each with a head of its own."""
