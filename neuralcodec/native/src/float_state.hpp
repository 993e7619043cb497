// The processor's floating-point mode, set for a scope and given back.
#pragma once

#include <cstdint>

namespace neuralcodec {

// Round to nearest, no traps. Coding keeps subnormals, as docs/format.md says; learning flushes them to zero:
// an operation on them takes over a hundred cycles, and no count depends on them.
class FloatState {
  public:
    enum class Subnormals { kept, flushed };
    explicit FloatState(Subnormals subnormals = Subnormals::kept);
    ~FloatState();
    FloatState(const FloatState&) = delete;
    FloatState& operator=(const FloatState&) = delete;

  private:
    uint64_t saved_;
};

}  // namespace neuralcodec
