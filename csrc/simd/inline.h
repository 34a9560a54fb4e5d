// Vector helpers must disappear into the kernels that use them: a call would send every register through memory.
#pragma once

#define FURET_INLINE static inline __attribute__((always_inline))
#define FURET_INLINE_MEMBER inline __attribute__((always_inline))
