#include "relative_kernel.hpp"

const neuralcodec::RelativeKernels neuralcodec::relative_scalar = {"scalar", philox_rows, sample, select};
