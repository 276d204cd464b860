"""Plugins: what is done to a training run, network included. Quantization, pruning, distillation, averaging."""
