"""The built-in codecs: each adapts a model family to the contract in :mod:`neuralcodec.codec`."""
