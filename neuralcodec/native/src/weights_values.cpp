// Reconstruction of values from levels: docs/format.md, 9.5.

#include <cmath>
#include <cstring>

#include "weights_coder.hpp"
#include "weights_record.hpp"

namespace neuralcodec {
namespace {

// The nearest value of a narrow format, ties to even; the argument is finite.
uint64_t narrowed(double x, const FloatFormat& f) {
    uint64_t bits;
    std::memcpy(&bits, &x, 8);
    const uint64_t sign = bits >> 63 << (f.width - 1);
    const int exponent = int(bits >> 52 & 2047) - 1023 + f.bias();  // biased as in the narrow format
    uint64_t mantissa = (bits & ((uint64_t(1) << 52) - 1)) | uint64_t(1) << 52;
    if (!(bits << 1)) return sign;
    int shift = 52 - f.mantissa;
    uint64_t base = 0;
    if (exponent > 0) {
        base = uint64_t(exponent) << f.mantissa;
        mantissa ^= uint64_t(1) << 52;
    } else {
        shift += 1 - exponent;
        if (shift > 54) return sign;
    }
    const uint64_t half = uint64_t(1) << (shift - 1), rest = mantissa & ((half << 1) - 1);
    uint64_t size = base + (mantissa >> shift);
    if (rest > half || (rest == half && (size & 1))) ++size;
    if (size > f.infinity()) size = f.infinity();
    return sign | size;
}

}  // namespace

double grid_step(int64_t number) {
    const int64_t j = number - 1 - 4096;
    const int64_t octave = j >= 0 ? j / 16 : -((15 - j) / 16);
    return std::ldexp(double(kPowers[j - 16 * octave]), int(octave) - 31);
}

void reconstruct(const int32_t* levels, uint64_t n, int64_t centre, double step, const TensorType& type,
                 uint8_t* out) {
    const FloatFormat f = type.format();
    for (uint64_t i = 0; i < n; ++i) {
        const double x = double(levels[i] + centre) * step;
        if (type.width == 4) {
            const float y = float(x);
            std::memcpy(out + 4 * i, &y, 4);
        } else if (type.width == 8) {
            std::memcpy(out + 8 * i, &x, 8);
        } else {
            store_bits(out + uint64_t(type.width) * i, narrowed(x, f), type.width);
        }
    }
}

}  // namespace neuralcodec
