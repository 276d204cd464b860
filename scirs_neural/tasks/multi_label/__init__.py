"""Any number of several classes."""
