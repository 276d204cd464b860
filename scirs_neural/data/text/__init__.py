"""Texts: tokenizers, the field, and where texts come from."""
