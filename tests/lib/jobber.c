/*
 * A stand-in controller that works: beside the ticks of ticker.c, which go on while the database hangs, two
 * connections to its own host's node write rows of its epoch, guarded.
 *
 *     jobber TICKS JOBS SOCKET LEASE [--unguarded]
 *
 * TICKS gets "BOOTTIME_NS PID EPOCH" every 10 ms. JOBS gets "BOOTTIME_NS PID EPOCH WRITER SEQ WHAT ERROR" for
 * every transaction: "send" before its COMMIT is handed over, then "ok", "refused" (1213: certainly rolled
 * back) or "unknown" (any other error). A "send" that nothing follows is unknown too. What failed before its
 * COMMIT is not in the file and must not be in the table. The row is (LEASE, EPOCH, PID, WRITER, SEQ) in
 * chaos.job.
 *
 * The second writer holds its transactions open for a while between guard and COMMIT.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <mysql.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS        2
#define TICK_NS        10000000
#define ERROR_DEADLOCK 1213

struct job {
    const char *socket, *lease, *epoch;
    int fd;
    int writer;
    bool unguarded;
    unsigned long long seq;
    MYSQL *connection;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* One write for each line: lines of several threads do not mix. A controller that cannot log must end. */
static void put(int fd, const char *line, int length)
{
    if (write(fd, line, (size_t)length) != length)
        _exit(1);
}

static void note(const struct job *j, const char *what, unsigned error)
{
    char line[128];

    put(j->fd, line,
        snprintf(line, sizeof line, "%" PRIu64 " %d %s %d %llu %s %u\n", now_ns(), (int)getpid(), j->epoch,
                 j->writer, j->seq, what, error));
}

static bool job_connect(struct job *j)
{
    const unsigned connect_s = 2, silence_s = 10;

    j->connection = mysql_init(NULL);
    if (!j->connection)
        return false;
    mysql_options(j->connection, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(j->connection, MYSQL_OPT_READ_TIMEOUT, &silence_s);
    mysql_options(j->connection, MYSQL_OPT_WRITE_TIMEOUT, &silence_s);
    return mysql_real_connect(j->connection, NULL, "jobber", NULL, NULL, 0, j->socket, 0) != NULL;
}

static void job_disconnect(struct job *j)
{
    mysql_close(j->connection);
    j->connection = NULL;
}

/* A procedure answers with more than one result; the error may be in the last. */
static bool query(struct job *j, const char *sql)
{
    int more;

    if (mysql_query(j->connection, sql) != 0)
        return false;
    do {
        mysql_free_result(mysql_store_result(j->connection));
        more = mysql_next_result(j->connection);
    } while (more == 0);
    return more < 0;
}

static bool prepare(struct job *j)
{
    char sql[512];

    if (!query(j, "START TRANSACTION"))
        return false;
    snprintf(sql, sizeof sql, "CALL galera_lease.guard('%s', %s)", j->lease, j->epoch);
    if (!j->unguarded && !query(j, sql))
        return false;
    snprintf(sql, sizeof sql,
             "INSERT INTO chaos.job (lease, epoch, pid, writer, seq) VALUES ('%s', %s, %d, %d, %llu)",
             j->lease, j->epoch, (int)getpid(), j->writer, j->seq);
    return query(j, sql);
}

static bool one_job(struct job *j)
{
    j->seq++;
    if (!prepare(j))
        return false;
    if (j->writer > 0)
        pause_ms(100 + (unsigned)(j->seq * 337 % 900));
    note(j, "send", 0);
    if (query(j, "COMMIT")) {
        note(j, "ok", 0);
        return true;
    }
    unsigned error = mysql_errno(j->connection);

    note(j, error == ERROR_DEADLOCK ? "refused" : "unknown", error);
    return false;
}

static void *write_jobs(void *userdata)
{
    struct job *j = userdata;

    for (;;) {
        if (!j->connection && !job_connect(j)) {
            job_disconnect(j);
            pause_ms(200);
        } else if (!one_job(j)) {
            job_disconnect(j); /* what the transaction has become nobody asks */
            pause_ms(100);
        }
        pause_ms(20);
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    const char *epoch = getenv("GALERA_LEASE_EPOCH");
    struct job jobs[WRITERS];
    pthread_t thread;

    if (argc < 5 || !epoch)
        return 2;
    int ticks = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (ticks < 0 || fd < 0 || mysql_library_init(0, NULL, NULL) != 0)
        return 1;
    for (int i = 0; i < WRITERS; i++) {
        jobs[i] = (struct job){.socket = argv[3],
                               .lease = argv[4],
                               .epoch = epoch,
                               .fd = fd,
                               .writer = i,
                               .unguarded = argc > 5 && strcmp(argv[5], "--unguarded") == 0};
        if (pthread_create(&thread, NULL, write_jobs, &jobs[i]) != 0)
            return 1;
    }
    for (;;) {
        char line[96];

        put(ticks, line, snprintf(line, sizeof line, "%" PRIu64 " %d %s\n", now_ns(), (int)getpid(), epoch));
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    }
}
