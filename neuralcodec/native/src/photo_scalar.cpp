#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_scalar = {"scalar", intervals, decode, sizeof(Scratch)};
