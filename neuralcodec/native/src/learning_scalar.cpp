#include "learning_kernel.hpp"

const neuralcodec::LearningKernels neuralcodec::learning_scalar = {scratch_floats, expectation, maximisation};
