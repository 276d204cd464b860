"""One run from its configuration to its report, and what is built from several runs."""
