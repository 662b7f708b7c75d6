#include "doctor/status_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "util/fsio.h"

#define TEXT_MAX 32768

static long long number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

json_t *status_file_read(const struct config *c, long long *ret_age_s, bool *ret_answers)
{
    static char text[TEXT_MAX];
    char path[CONFIG_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/status.json", c->run_dir);
    json_t *s =
        fsio_read(path, text, sizeof text, NULL) < 0 ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    long long pid = number_of(s, "pid");

    if (pid <= 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) < 0 && errno != EPERM)) {
        json_decref(s);
        return NULL;
    }
    *ret_age_s = (long long)time(NULL) - number_of(s, "written");
    /* Three renewals are missing. Wall time, so that a clock set back is no accusation. */
    *ret_answers = *ret_age_s <= (long long)(3 * c->timing.renew_ns / LEASE_NS_PER_S) + 2;
    return s;
}

bool status_file_no_room(const char *folder)
{
    struct statvfs v;

    if (statvfs(folder, &v) < 0)
        return false;
    uint64_t blocks = geteuid() == 0 ? v.f_bfree : v.f_bavail; /* some are kept for root */

    return blocks * v.f_frsize < TEXT_MAX || (v.f_files > 0 && v.f_favail == 0);
}
