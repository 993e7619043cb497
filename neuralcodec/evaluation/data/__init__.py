"""Data sets to measure codecs on: well-known ones by name, and any folder or file of images."""

from neuralcodec.evaluation.data.dataset import Dataset
from neuralcodec.evaluation.data.images import Item, sample_sha256
from neuralcodec.evaluation.data.opening import open_data

__all__ = ["Dataset", "Item", "open_data", "sample_sha256"]
