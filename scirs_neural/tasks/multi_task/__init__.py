"""Several targets, each with a task of its own."""
