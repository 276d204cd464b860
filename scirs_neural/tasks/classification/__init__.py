"""Classification: one of several classes."""
