#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_avx512 = {
    "avx512", kCoding<uint8_t>, kCoding<uint16_t>, sizeof(Scratch), Regression::bytes, Online::bytes};
