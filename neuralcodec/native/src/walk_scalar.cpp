#include "walk.hpp"

const neuralcodec::WalkKernels neuralcodec::walk_scalar = {"scalar", scratch_floats, intervals, decode,
                                                           tables};
