"""RECOMBINER: lossy coding with Bayesian implicit neural representations (arXiv:2309.17182)."""
