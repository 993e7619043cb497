#include "walk.hpp"

const neuralcodec::WalkKernels neuralcodec::walk_avx512 = {"avx512", scratch_floats, intervals, decode,
                                                           tables};
