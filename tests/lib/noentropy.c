/* Preloaded: getrandom() fails while the file $NOENTROPY exists. The one thing that a sidecar cannot do
 * without, and that a test can take away: it ends as on any failed assertion. While the file $SLOWENTROPY
 * exists it takes 300 ms, and keeps the loop for as long. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

ssize_t getrandom(void *buf, size_t length, unsigned flags)
{
    const char *path = getenv("NOENTROPY");

    if (path && access(path, F_OK) == 0) {
        errno = ENOSYS;
        return -1;
    }
    path = getenv("SLOWENTROPY");
    if (path && access(path, F_OK) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    return syscall(SYS_getrandom, buf, length, flags);
}
