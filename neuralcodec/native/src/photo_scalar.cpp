#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_scalar = {"scalar",    intervals,       decode,
                                                             regressions, sizeof(Scratch), Regression::bytes};
