#include "util/journal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRY_MAX 4096 /* a message is at most 2 KB, see log.c */

static char lease_name[64];
static struct sockaddr_un journal = {.sun_family = AF_UNIX};
static int journal_fd = -1;
static atomic_uint lost;

/* One field a line; log.c lets no newline through. The address goes with each: the journal may start anew. */
static bool put_entry(int priority, const char *event, const char *message)
{
    char entry[ENTRY_MAX];
    int n = snprintf(entry, sizeof entry,
                     "MESSAGE=%s %s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=galera-lease\nGALERA_LEASE_NAME=%s\n"
                     "GALERA_LEASE_EVENT=%s\n",
                     event, message, priority, lease_name, event);

    if (n >= (int)sizeof entry)
        return false;
    return sendto(journal_fd, entry, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&journal,
                  sizeof journal) == n;
}

static void to_journal(enum log_level level, const char *event, const char *message)
{
    static const int priorities[] = {3, 4, 6, 7};
    unsigned missing = atomic_exchange(&lost, 0);
    char count[32];

    snprintf(count, sizeof count, "lines=%u", missing);
    if (missing > 0 && !put_entry(priorities[LOG_LEVEL_WARNING], "log-lost", count))
        atomic_fetch_add(&lost, missing + 1);
    else if (!put_entry(priorities[level], event, message))
        atomic_fetch_add(&lost, 1);
}

void journal_init(const char *lease, const char *socket_path)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    snprintf(lease_name, sizeof lease_name, "%s", lease);
    snprintf(journal.sun_path, sizeof journal.sun_path, "%s", socket_path);
    if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0 ||
        st.st_dev != device || st.st_ino != inode)
        return;
    if (journal_fd < 0)
        journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (journal_fd >= 0)
        log_set_backend(to_journal);
}
