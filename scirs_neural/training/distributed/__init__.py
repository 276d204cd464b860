"""Several processes: ranks, sharded networks, tensor parallelism, XLA."""
