#include "world.h"

int main(void)
{
    return core_lead() + core_follow() + core_claim() + core_hold() + core_name() + core_rules();
}
