#include "steps.hpp"  // defines steps_forward and steps_backward
