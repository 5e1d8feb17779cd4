#include "dense.hpp"  // defines dense and dense_both
