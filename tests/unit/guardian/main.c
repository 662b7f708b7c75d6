#include "kit.h"

int main(void)
{
    int failed;

    if (begin_all(NULL) != 0)
        return 1;
    failed = guardian_due() + guardian_sidecar() + guardian_kill() + guardian_obstacle();
    return end_all(NULL) != 0 ? 1 : failed;
}
