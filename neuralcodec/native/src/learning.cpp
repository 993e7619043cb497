#include "learning.hpp"

namespace neuralcodec {

const LearningKernels& learning_kernels() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return learning_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return learning_avx2;
#endif
    return learning_scalar;
}

}  // namespace neuralcodec
