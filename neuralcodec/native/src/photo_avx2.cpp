#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_avx2 = {"avx2",      intervals,       decode,
                                                           regressions, sizeof(Scratch), Regression::bytes};
