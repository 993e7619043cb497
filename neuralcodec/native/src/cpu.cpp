#include <stdexcept>

#include "circuit.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace neuralcodec {

#if defined(__x86_64__)
// MXCSR: all exceptions masked, round to nearest, FTZ (bit 15) and DAZ (bit 6) on or off.
FloatState::FloatState(Subnormals subnormals) : saved_(_mm_getcsr()) {
    _mm_setcsr(subnormals == Subnormals::kept ? 0x1F80 : 0x9FC0);
}
FloatState::~FloatState() {
    _mm_setcsr(uint32_t(saved_));
}
#elif defined(__aarch64__)
// FPCR: round to nearest, no trapping, FZ (bit 24) on or off.
FloatState::FloatState(Subnormals subnormals) {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    const uint64_t mode = subnormals == Subnormals::kept ? 0 : uint64_t(1) << 24;
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
FloatState::~FloatState() {
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_));
}
#else
#error "neuralcodec needs x86-64 or aarch64: the floating-point state must be pinned while decoding"
#endif

namespace {

#if defined(__x86_64__)
// The walk's kernels with AVX-512: others have some for processors that have VNNI as well.
const WalkKernels& walk_avx512vnni() {
    static const WalkKernels kernels = [] {
        WalkKernels same = walk_avx512;
        same.name = "avx512vnni";
        return same;
    }();
    return kernels;
}
#endif

const WalkKernels* supported(const std::string& name) {
    if (name == "scalar") return &walk_scalar;
#if defined(__x86_64__)
    if (name == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return &walk_avx2;
    if (name == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("bmi2"))
        return &walk_avx512;
    if (name == "avx512vnni" && __builtin_cpu_supports("avx512vnni") && supported("avx512"))
        return &walk_avx512vnni();
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
    for (const char* name : {"avx512vnni", "avx512", "avx2"})
        if (const WalkKernels* k = supported(name)) return *k;
    return walk_scalar;
}

}  // namespace neuralcodec
