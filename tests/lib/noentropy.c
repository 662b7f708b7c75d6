/* Preloaded: getrandom() fails while the file $NOENTROPY exists. The one thing that a sidecar cannot do
 * without, and that a test can take away: it ends as on any failed assertion. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t getrandom(void *buf, size_t length, unsigned flags)
{
    const char *path = getenv("NOENTROPY");

    if (path && access(path, F_OK) == 0) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_getrandom, buf, length, flags);
}
