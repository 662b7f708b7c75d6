#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "db/worker.h"

#define CLOSING_NS (200 * LEASE_NS_PER_MS) /* for the last connections to say goodbye */

int main(int argc, char *argv[])
{
    int code = cli_main(argc, argv);

    if (worker_all_ended(CLOSING_NS))
        return code;
    fflush(NULL);
    _exit(code);
}
