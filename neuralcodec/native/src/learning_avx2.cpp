#include "learning_kernel.hpp"

const neuralcodec::LearningKernels neuralcodec::learning_avx2 = {scratch_floats, expectation, maximisation};
