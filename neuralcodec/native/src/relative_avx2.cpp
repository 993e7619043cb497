#include "relative_kernel.hpp"

const neuralcodec::RelativeKernels neuralcodec::relative_avx2 = {"avx2", philox_rows, sample, select};
