#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_avx512 = {"avx512",    intervals,       decode,
                                                             regressions, sizeof(Scratch), Regression::bytes};
