#include "scan.hpp"

namespace recurra::RECURRA_VARIANT {

template void scan(const Scan<float>&, bool);
template void scan(const Scan<double>&, bool);

}  // namespace recurra::RECURRA_VARIANT
