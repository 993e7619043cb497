"""Signals outside neuralcodec's own files: images, NumPy arrays and IDX files, read and written.

Nothing here knows of models or coders; readers take only the wanted shape, to tell a signal from a stack.
"""
