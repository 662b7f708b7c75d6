/* Configuration text: any bytes give a configuration that is in bounds, or sentences about what is wrong. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/config.h"
#include "fuzz.h"

static int any_hook(const char *path, char *ret_reason, unsigned size)
{
    snprintf(ret_reason, size, "not today");
    return path[0] == '\0' || path[1] == 'x';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    static struct config_errors errors;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(&errors, 0, sizeof errors);
    int r = config_load(path, any_hook, &config, &errors);

    close(fd);
    FUZZ_MUST(errors.count <= CONFIG_ERRORS_MAX);
    FUZZ_MUST((r == 0) == (errors.count == 0));
    if (r != 0)
        return 0;
    FUZZ_MUST(lease_timing_check(&config.timing) == LEASE_TIMING_OK);
    FUZZ_MUST(config.endpoint_count >= 1 && config.endpoint_count <= CONFIG_ENDPOINTS_MAX);
    FUZZ_MUST(config.name[0] != '\0' && strlen(config.name) <= LEASE_NAME_MAX);
    FUZZ_MUST(config.member[0] != '\0' && strlen(config.member) <= LEASE_NAME_MAX);
    return 0;
}
