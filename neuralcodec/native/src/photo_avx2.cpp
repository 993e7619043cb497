#include "photo_kernel.hpp"

const neuralcodec::PhotoKernels neuralcodec::photo_avx2 = {
    "avx2", kCoding<uint8_t>, kCoding<uint16_t>, sizeof(Scratch), Regression::bytes, Online::bytes};
