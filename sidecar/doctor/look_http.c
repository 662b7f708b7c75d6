/* The HTTP ports of the other members, as seen from this host: all at once, within one limit. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/look.h"
#include "hook/hook.h"

#define LIMIT_NS LEASE_NS_PER_S

/* A socket that is connecting, or -1 with errno. Addresses only: names would be resolved for as long as it
 * takes. */
static int begin(const struct rows_member *m)
{
    const struct addrinfo wanted = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof port, "%u", m->http_port);
    if (getaddrinfo(m->address, port, &wanted, &found) != 0) {
        errno = EAGAIN; /* a name: not looked at */
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
        errno = ECONNREFUSED;
    }
    freeaddrinfo(found);
    return fd;
}

static bool connected(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

/* Until each has answered or the limit is over. */
static void await(struct pollfd *fds, bool *away, size_t count)
{
    uint64_t end = hook_now_ns() + LIMIT_NS;

    for (;;) {
        uint64_t now = hook_now_ns();
        size_t open = 0;

        for (size_t i = 0; i < count; i++) {
            open += fds[i].fd >= 0;
            if (fds[i].fd >= 0 && fds[i].revents) {
                away[i] = !connected(fds[i].fd);
                close(fds[i].fd);
                fds[i].fd = -1;
                open--;
            }
        }
        if (open == 0 || now >= end)
            break;
        poll(fds, count, (int)((end - now) / LEASE_NS_PER_MS) + 1);
    }
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd >= 0)
            close(fds[i].fd);
}

void look_http(struct doctor_facts *facts)
{
    struct doctor_database *d = &facts->database;
    const char *listen = facts->config->http_listen;

    /* Who is for its own host alone expects the same of the others. */
    if (listen[0] == '\0' || strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]", 5) == 0)
        return;
    struct pollfd *fds = calloc(d->member_count + 1, sizeof *fds);

    d->http_away = calloc(d->member_count + 1, sizeof *d->http_away);
    for (size_t i = 0; fds && d->http_away && i < d->member_count; i++) {
        const struct rows_member *m = &d->members[i];
        bool other = strcmp(m->member.name, facts->config->member) != 0;

        fds[i] = (struct pollfd){.fd = -1, .events = POLLOUT};
        if (!other || m->http_port == 0 || m->address[0] == '\0')
            continue;
        fds[i].fd = begin(m);
        d->http_away[i] = fds[i].fd >= 0 || errno != EAGAIN; /* until it answers */
    }
    if (fds && d->http_away)
        await(fds, d->http_away, d->member_count);
    free(fds);
}
