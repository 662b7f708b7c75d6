#include "util/histogram.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

const uint64_t histogram_bounds_ns[HISTOGRAM_BOUNDS] = {
    100 * US, 250 * US, 500 * US, MS,        5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
    250 * MS, 500 * MS, S,        5 * S / 2, 5 * S,      10 * S, 25 * S,  50 * S,  100 * S,
};

void histogram_add(struct histogram *h, uint64_t ns)
{
    unsigned i = 0;

    while (i < HISTOGRAM_BOUNDS && ns > histogram_bounds_ns[i])
        i++;
    h->counts[i]++;
    h->sum_ns += ns;
}
