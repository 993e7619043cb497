"""Latent-tree probabilistic circuits: structure, parameters, learning, queries and coding."""
