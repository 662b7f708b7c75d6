#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "db/worker.h"

int main(int argc, char *argv[])
{
    int code = cli_main(argc, argv);

    if (worker_all_ended(CLI_CLOSING_NS))
        return code;
    fflush(NULL);
    _exit(code);
}
