"""Networks of texts: token numbers (N, T) in, logits out."""
