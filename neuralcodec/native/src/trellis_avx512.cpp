#include "trellis_kernel.hpp"

const neuralcodec::TrellisKernels neuralcodec::trellis_avx512 = {quantise};
