"""Any number of several classes for each sample."""
