#include "siren_kernel.hpp"

const neuralcodec::SirenKernels neuralcodec::siren_avx512 = {scratch_floats, run};
