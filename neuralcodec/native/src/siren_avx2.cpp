#include "siren_kernel.hpp"

const neuralcodec::SirenKernels neuralcodec::siren_avx2 = {scratch_floats, run};
