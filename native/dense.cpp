#include "dense.hpp"  // defines dense_forward and dense_backward
