#include "learning_kernel.hpp"

const neuralcodec::LearningKernels neuralcodec::learning_avx512 = {scratch_floats, expectation, maximisation};
