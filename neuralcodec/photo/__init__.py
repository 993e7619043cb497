"""Photographs without loss: mixtures of logistics whose parameters an integer network reads off causal context."""
