"""Relative entropy coding: samples of diagonal Gaussians sent as indices of shared random candidates.

See docs/entropy.md for a guide and docs/format.md, section 8, for the decoder.
"""

from neuralcodec.entropy.relative.blocks import Blocks, build_blocks
from neuralcodec.entropy.relative.coding import decode_blocks, encode_blocks, kl_bits
from neuralcodec.entropy.relative.index import IndexModel

__all__ = ["Blocks", "IndexModel", "build_blocks", "decode_blocks", "encode_blocks", "kl_bits"]
