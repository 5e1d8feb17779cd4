// The streaming engine's other instructions, by themselves so that compilers work on both at once.
#include "engine/apply.hpp"

namespace recurra::RECURRA_VARIANT {

void loop(const Instruction& instruction, float* out, const float* const* in) { apply(instruction, out, in); }

void attend(const Attention& a) { loops::attend(a); }

}  // namespace recurra::RECURRA_VARIANT
