#include "siren_kernel.hpp"

const neuralcodec::SirenKernels neuralcodec::siren_scalar = {scratch_floats, run};
