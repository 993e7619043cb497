#include <stdexcept>

#include "circuit.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace neuralcodec {

#if defined(__x86_64__)
// MXCSR: all exceptions masked, round to nearest, FTZ and DAZ off.
FloatState::FloatState() : saved_(_mm_getcsr()) {
    _mm_setcsr(0x1F80);
}
FloatState::~FloatState() {
    _mm_setcsr(uint32_t(saved_));
}
#elif defined(__aarch64__)
FloatState::FloatState() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    const uint64_t plain = 0;  // round to nearest, no flush to zero, no trapping
    __asm__ volatile("msr fpcr, %0" : : "r"(plain));
}
FloatState::~FloatState() {
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_));
}
#else
#error "neuralcodec needs x86-64 or aarch64: the floating-point state must be pinned while decoding"
#endif

namespace {

const WalkKernels* supported(const std::string& name) {
    if (name == "scalar") return &walk_scalar;
#if defined(__x86_64__)
    if (name == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return &walk_avx2;
    if (name == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("bmi2"))
        return &walk_avx512;
#endif
    return nullptr;
}

}  // namespace

const WalkKernels& walk_kernels(const std::string& forced) {
    if (!forced.empty()) {
        if (const WalkKernels* k = supported(forced)) return *k;
        throw std::invalid_argument("NEURALCODEC_SIMD=" + forced +
                                    " is not one of the paths this processor has");
    }
    for (const char* name : {"avx512", "avx2"})
        if (const WalkKernels* k = supported(name)) return *k;
    return walk_scalar;
}

}  // namespace neuralcodec
