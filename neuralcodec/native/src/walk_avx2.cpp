#include "walk.hpp"

const neuralcodec::WalkKernels neuralcodec::walk_avx2 = {"avx2", scratch_floats, intervals, decode, tables};
