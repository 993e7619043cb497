#include "relative_kernel.hpp"

const neuralcodec::RelativeKernels neuralcodec::relative_avx512 = {"avx512", philox_rows, sample, select};
