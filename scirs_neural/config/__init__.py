"""The schema of every setting, and how a command line becomes a checked configuration. No torch here."""
