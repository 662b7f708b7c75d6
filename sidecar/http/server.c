#include "http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/keypair.h"
#include "util/cleanup.h"
#include "util/clocks.h"
#include "util/parse.h"

#define NEWCOMERS 8 /* accepted in one turn: all are answered before the next ones could close them */
#define SLOTS     (HTTP_PLACES + NEWCOMERS) /* those that are being closed hold theirs for another turn */
#define BACKLOG   128
#define TURN_MS   1000
#define NICE      5
#define CIPHERS   "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Where the library would rather queue what it is handed, as another thread might. */
#if MHD_VERSION >= 0x00097707
#define ONE_THREAD MHD_USE_NO_THREAD_SAFETY
#else
#define ONE_THREAD 0
#endif

struct slot {
    int fd;            /* -1: free. The library's: all that is done to it here is shutdown() */
    uint64_t since_ns; /* it has completed no request since */
    bool closing;
};

struct http_server {
    struct http_config config;
    int listen_fd, stop_fd;
    struct MHD_Daemon *daemon;
    struct keypair_files pair; /* as read */
    uint64_t opened_ns;        /* the last try */
    int outcome;               /* ... as reported; above zero: nothing yet */
    atomic_bool serves;
    pthread_t thread;
    struct slot slots[SLOTS];
    struct http_counts counts;
    char body[HTTP_BODY_MAX];
};

/* ---------------------------------------------------------------- requests */

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct answer_reply *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->body.size, r->body.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    if (MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
        (!r->type || MHD_add_response_header(response, "Content-Type", r->type) == MHD_YES) &&
        (r->type || MHD_add_response_header(response, "Allow", "GET, HEAD, OPTIONS") == MHD_YES) &&
        (!r->location[0] || MHD_add_response_header(response, "Location", r->location) == MHD_YES))
        result = MHD_queue_response(connection, r->status, response);
    MHD_destroy_response(response);
    return result;
}

/* What can be said without looking at the path; such replies have no type, and say what is allowed. */
static enum MHD_Result send_allowed(struct http_server *s, struct MHD_Connection *connection, unsigned status)
{
    struct answer_reply r = {.status = status};

    text_init(&r.body, s->body, sizeof s->body);
    return send_reply(connection, &r);
}

/* The library calls first with the headers, then for each part of a body, then once more. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **seen)
{
    struct http_server *s = userdata;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    struct answer_reply r = {.status = 500};

    (void)version;
    (void)upload;
    if (!reads && strcmp(method, "OPTIONS") != 0)
        return send_allowed(s, connection, 405); /* now: the body is not waited for */
    if (!*seen || *upload_size > 0) {
        *seen = s;
        *upload_size = 0; /* nobody asked for a body */
        return MHD_YES;
    }
    s->counts.requests++;
    if (!reads)
        return send_allowed(s, connection, 204);
    text_init(&r.body, s->body, sizeof s->body);
    s->config.answer(s->config.userdata, url, &s->counts, &r);
    return send_reply(connection, &r);
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **seen,
                         enum MHD_RequestTerminationCode how)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    (void)userdata;
    *seen = NULL;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && info && info->socket_context)
        ((struct slot *)info->socket_context)->since_ns = clocks_boot_ns();
}

/* ---------------------------------------------------------------- connections */

/* By its number: later versions of the library may begin a connection after it was handed over. */
static struct slot *slot_of(struct http_server *s, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    for (unsigned i = 0; info && i < SLOTS; i++)
        if (s->slots[i].fd == info->connect_fd)
            return &s->slots[i];
    return NULL;
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = userdata;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = slot_of(s, connection);
        s->counts.connections++;
    } else {
        if (*context)
            ((struct slot *)*context)->fd = -1;
        s->counts.connections--;
    }
}

static void close_slot(struct http_server *s, struct slot *slot)
{
    shutdown(slot->fd, SHUT_RDWR); /* the library sees its end in this turn, and closes it */
    slot->closing = true;
    s->counts.dropped++;
}

/* NULL: all are taken, some by connections that are being closed. */
static struct slot *free_slot(struct http_server *s)
{
    struct slot *oldest = NULL, *unused = NULL;
    unsigned taken = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &s->slots[i];

        if (slot->fd < 0) {
            unused = slot;
        } else if (!slot->closing) {
            taken++;
            if (!oldest || slot->since_ns < oldest->since_ns)
                oldest = slot;
        }
    }
    if (unused && taken >= HTTP_PLACES)
        close_slot(s, oldest);
    return unused;
}

static void take_newcomers(struct http_server *s)
{
    for (unsigned i = 0; i < NEWCOMERS; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        struct slot *slot = free_slot(s);

        if (!slot)
            return;
        int fd = accept4(s->listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* it stays readable: no storm */
        if (fd < 0)
            return;
        *slot = (struct slot){.fd = fd, .since_ns = clocks_boot_ns()};
        if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&address, size) != MHD_YES)
            slot->fd = -1; /* closed by the library */
    }
}

static void close_idle(struct http_server *s)
{
    uint64_t now = clocks_boot_ns();

    for (unsigned i = 0; i < SLOTS; i++)
        if (s->slots[i].fd >= 0 && !s->slots[i].closing && now - s->slots[i].since_ns > s->config.idle_ns)
            close_slot(s, &s->slots[i]);
}

/* ---------------------------------------------------------------- the port and the certificates */

static int open_listener(const char *text, int *ret_fd)
{
    struct sockaddr_storage address;
    socklen_t size;
    const int on = 1;
    int r = parse_socket_address(text, &address, &size);

    if (r < 0)
        return r;
    _cleanup_(closep) int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static struct MHD_Daemon *start_daemon(struct http_server *s, const char *cert, const char *key)
{
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)CIPHERS},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem clear[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | ONE_THREAD | (cert ? MHD_USE_TLS : 0),
                            0, NULL, NULL, on_request, s, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SLOTS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY,
                            cert ? tls : clear, MHD_OPTION_END);
}

static bool has_tls(const struct http_server *s)
{
    return s->config.cert && s->config.cert[0];
}

static int daemon_with_tls(struct http_server *s, struct MHD_Daemon **ret)
{
    struct keypair *pair = malloc(sizeof *pair);

    if (!pair)
        return -ENOMEM;
    int r = keypair_read(s->config.cert, s->config.key, pair, &s->pair);

    if (r == 0)
        *ret = start_daemon(s, pair->cert, pair->key);
    explicit_bzero(pair, sizeof *pair);
    free(pair);
    if (!*ret)
        s->pair =
            (struct keypair_files){0}; /* not taken: the next look tries again, whether they change or not */
    return r < 0 ? r : *ret ? 0 : -EKEYREJECTED;
}

/* The new one takes over from the old one, if there is one; its connections are closed. */
static int open_daemon(struct http_server *s)
{
    struct MHD_Daemon *daemon = NULL;
    int r = 0;

    if (has_tls(s))
        r = daemon_with_tls(s, &daemon);
    else if (!(daemon = start_daemon(s, NULL, NULL)))
        r = -EMFILE;
    if (!daemon)
        return r;
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    s->daemon = daemon;
    return 0;
}

/* Opens what is not open, or not as the files say. */
static void open_what_is_due(struct http_server *s)
{
    uint64_t now = clocks_boot_ns();
    bool late = now - s->opened_ns >= HTTP_RETRY_S * LEASE_NS_PER_S;
    int r = 0;

    if (s->opened_ns != 0 && !late)
        return;
    s->opened_ns = now;
    if (s->daemon && !(has_tls(s) && keypair_renewed(s->config.cert, s->config.key, &s->pair)))
        return;
    if (s->listen_fd < 0)
        r = open_listener(s->config.listen, &s->listen_fd);
    if (r == 0)
        r = open_daemon(s);
    atomic_store(&s->serves, s->daemon != NULL);
    if (r == 0 || r != s->outcome)
        s->config.outcome(s->config.userdata, r);
    s->outcome = r;
}

/* ---------------------------------------------------------------- the thread */

/* How long to wait for something to happen. */
static int patience_ms(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG due_ms;

    if (s->daemon && MHD_get_timeout(s->daemon, &due_ms) == MHD_YES && due_ms < TURN_MS)
        return (int)due_ms;
    return TURN_MS;
}

static void *work(void *userdata)
{
    struct http_server *s = userdata;
    struct pollfd fds[3] = {{.fd = s->stop_fd, .events = POLLIN}};

    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!(fds[0].revents & POLLIN)) {
        open_what_is_due(s);
        const union MHD_DaemonInfo *info =
            s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;

        fds[1] = (struct pollfd){.fd = info ? s->listen_fd : -1, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = info ? info->epoll_fd : -1, .events = POLLIN};
        if (poll(fds, 3, patience_ms(s)) < 0 || !s->daemon)
            continue;
        if (fds[1].revents)
            take_newcomers(s);
        close_idle(s);
        MHD_run(s->daemon);
    }
    return NULL;
}

/* ---------------------------------------------------------------- begin and end */

static struct http_server *dispose(struct http_server *s)
{
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    free(s);
    return NULL;
}

int http_server_new(const struct http_config *config, struct http_server **ret)
{
    struct http_server *s = calloc(1, sizeof *s);

    if (!s)
        return -ENOMEM;
    s->config = *config;
    s->listen_fd = -1;
    s->outcome = 1;
    for (unsigned i = 0; i < SLOTS; i++)
        s->slots[i].fd = -1;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = s->stop_fd < 0 ? -errno : -pthread_create(&s->thread, NULL, work, s);

    if (r < 0) {
        dispose(s);
        return r;
    }
    *ret = s;
    return 0;
}

bool http_server_serves(const struct http_server *s)
{
    return atomic_load(&s->serves);
}

struct http_server *http_server_free(struct http_server *s)
{
    uint64_t one = 1;

    if (!s || write(s->stop_fd, &one, sizeof one) < 0)
        return NULL; /* the latter can't be: the thread would be waited for in vain */
    pthread_join(s->thread, NULL);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    return dispose(s);
}
