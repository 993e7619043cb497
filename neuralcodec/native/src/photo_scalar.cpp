#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_scalar = {
    "scalar", kCoding<uint8_t>, kCoding<uint16_t>, sizeof(Scratch), Regression::bytes, Online::bytes};
