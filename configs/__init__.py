"""The shipped Hydra tree, installed as ``scirs_neural.configs``."""
