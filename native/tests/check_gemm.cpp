// The matrix product in every layout, over sizes about its tiles, its blocks and the parts of its sums.
#include "check.hpp"

namespace check {

bool check_gemm(const recurra::Kernels& kernels, long cases, Draw& draw) {
    Tally tally(kernels, "gemm");
    for (long i = 0; i < cases; ++i) {
        const bool large = i % 8 == 3;
        const long rows = large ? 230 + draw.upto(40) : draw.size(), columns = draw.size();
        const long depth = large ? 250 + draw.upto(300) : draw.size();
        const bool a_by_rows = draw.coin(), b_by_rows = draw.coin(), starts = a_by_rows && draw.coin();
        const long a_stride = (a_by_rows ? depth : rows) + draw.upto(3), b_stride = (b_by_rows ? columns : depth) + draw.upto(3);
        const Guarded<float> a((a_by_rows ? rows : depth) * a_stride, draw, -1.0, 1.0);
        const Guarded<float> b((b_by_rows ? depth : columns) * b_stride, draw, -1.0, 1.0), start(columns, draw, -1.0, 1.0);
        Guarded<float> c(rows * columns, draw);
        recurra::Gemm d{int(1 + draw.upto(2)), rows, depth, columns, a.data(), b.data(), a_by_rows ? a_stride : 1,
                        a_by_rows ? 1 : a_stride, b_by_rows ? b_stride : 1, b_by_rows ? 1 : b_stride,
                        starts ? start.data() : nullptr, c.data(), nullptr};
        tally.next("%ld x %ld x %ld, a by %s, b by %s, threads %d", rows, depth, columns, a_by_rows ? "rows" : "columns",
                   b_by_rows ? "rows" : "columns", d.threads);
        Guarded<float> room(kernels.gemm_room(d), draw);
        d.room = room.data();
        kernels.gemm(d);
        std::vector<double> want;
        for (long row = 0; row < rows; ++row)
            for (long column = 0; column < columns; ++column) {
                double sum = starts ? double(start[column]) : 0.0;
                for (long k = 0; k < depth; ++k)
                    sum += double(d.a[row * d.a_row + k * d.a_depth]) * double(d.b[k * d.b_depth + column * d.b_column]);
                want.push_back(sum);
            }
        tally.compare("c", c, want, 2e-5);
        if (room.touched()) tally.fail("%s", "written outside of the room");
    }
    return tally.done();
}

}  // namespace check
