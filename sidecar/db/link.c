#include "db/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db/facts.h"

#define PACKET_MAX (1024 * 1024UL)
#define RESULT_MAX (512 * 1024UL) /* bytes of one result set */

void link_init(struct link *link, const struct worker_config *config)
{
    *link = (struct link){.config = config, .cancel_fd = -1};
    pthread_mutex_init(&link->lock, NULL);
}

void link_deinit(struct link *link)
{
    link_close(link);
    pthread_mutex_destroy(&link->lock);
}

void link_cancel(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->cancelled = true;
    if (link->cancel_fd >= 0)
        shutdown(link->cancel_fd, SHUT_RDWR);
    pthread_mutex_unlock(&link->lock);
}

void link_permit(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->cancelled = false;
    pthread_mutex_unlock(&link->lock);
}

void link_close(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    if (link->cancel_fd >= 0)
        close(link->cancel_fd);
    link->cancel_fd = -1;
    pthread_mutex_unlock(&link->lock);
    if (link->mysql)
        mysql_close(link->mysql);
    link->mysql = NULL;
}

void link_fail(struct worker_result *result, enum answer_stage stage, unsigned error, const char *text)
{
    result->answer = answer_class(stage, error);
    result->error = error;
    result->non_primary = answer_non_primary(error);
    table_sanitise(result->text, sizeof(result->text), text);
}

static bool fail_mysql(struct link *link, struct worker_result *result, enum answer_stage stage)
{
    unsigned error = mysql_errno(link->mysql);
    link_fail(result, stage, error ? error : 2013, error ? mysql_error(link->mysql) : "connection lost");
    return false;
}

/* One result set into a table; NULL when it is out of bounds or memory, or the connection broke. */
static struct table *fetch(MYSQL_RES *res, bool *ret_broken, MYSQL *mysql)
{
    struct table *table = calloc(1, sizeof(*table));
    size_t cells = 0, columns = mysql_num_fields(res);
    MYSQL_ROW row;

    *ret_broken = false;
    if (!table || columns == 0 || columns > TABLE_COLUMNS_MAX)
        return table_free(table);
    table->columns = columns;
    while ((row = mysql_fetch_row(res))) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        size_t need = 0;
        for (size_t i = 0; i < columns; i++) {
            if (lengths[i] > TABLE_CELL_MAX)
                return table_free(table);
            need += row[i] ? lengths[i] + 1 : 0;
        }
        if (table->rows >= TABLE_ROWS_MAX || table->store_size + need > RESULT_MAX)
            return table_free(table);
        struct table_cell *more_cells = realloc(table->cells, (cells + columns) * sizeof(*more_cells));
        if (!more_cells)
            return table_free(table);
        table->cells = more_cells;
        char *more = realloc(table->store, table->store_size + need + 1);
        if (!more)
            return table_free(table);
        table->store = more;
        for (size_t i = 0; i < columns; i++) {
            /* offsets for now: the store still moves; 0 is NULL */
            struct table_cell *cell = &table->cells[cells++];
            *cell = (struct table_cell){};
            if (!row[i])
                continue;
            memcpy(table->store + table->store_size, row[i], lengths[i]);
            table->store[table->store_size + lengths[i]] = '\0';
            cell->size = lengths[i];
            cell->data = (const char *)(table->store_size + 1);
            table->store_size += lengths[i] + 1;
        }
        table->rows++;
    }
    if (mysql_errno(mysql)) {
        *ret_broken = true;
        return table_free(table);
    }
    for (size_t i = 0; i < cells; i++)
        if (table->cells[i].data)
            table->cells[i].data = table->store + ((size_t)table->cells[i].data - 1);
    return table;
}

struct outcome {
    struct table *table; /* of the first statement that has one */
    bool bad;            /* one of them is not to be used */
};

/* What one of the statements answered; false with @result filled in: the connection broke. */
static bool take_answer(struct link *link, enum answer_stage stage, struct worker_result *result,
                        struct outcome *o)
{
    MYSQL_RES *res = mysql_use_result(link->mysql);
    bool broken = false;

    if (!res) {
        my_ulonglong changed = mysql_affected_rows(link->mysql);

        if (mysql_field_count(link->mysql) == 0 && !o->table)
            result->changed = changed == (my_ulonglong)-1 ? 0 : changed;
        return true;
    }
    struct table *one = o->bad ? NULL : fetch(res, &broken, link->mysql);

    o->bad = o->bad || !one;
    if (broken)
        fail_mysql(link, result, stage);
    mysql_free_result(res);
    if (!o->table)
        o->table = one;
    else
        table_free(one);
    return !broken;
}

bool link_run(struct link *link, enum answer_stage stage, const char *sql, struct worker_result *result,
              struct table **ret_table)
{
    struct outcome o = {0};
    int next;

    if (mysql_real_query(link->mysql, sql, strlen(sql)) != 0)
        return fail_mysql(link, result, stage);
    do {
        if (!take_answer(link, stage, result, &o)) {
            table_free(o.table);
            return false;
        }
        next = mysql_next_result(link->mysql);
    } while (next == 0);
    if (next > 0) {
        table_free(o.table);
        return fail_mysql(link, result, stage);
    }
    if (o.bad || (ret_table && !o.table)) {
        table_free(o.table);
        link_fail(result, ANSWER_STAGE_READ, WORKER_ERROR_SHAPE, "the answer has not the expected shape");
        return false;
    }
    if (ret_table)
        *ret_table = o.table;
    else
        table_free(o.table);
    return true;
}

static bool link_socket(struct link *link)
{
    int socket_fd = mysql_get_socket(link->mysql);
    int fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 3);
    bool ok;

    fcntl(socket_fd, F_SETFD, FD_CLOEXEC);

    pthread_mutex_lock(&link->lock);
    link->cancel_fd = fd;
    ok = fd >= 0 && !link->cancelled;
    pthread_mutex_unlock(&link->lock);
    return ok;
}

/*
 * The connector only trusts what it is told to: our CA, that the name in the certificate is the host's, and
 * nothing in clear.
 */
static void set_tls(struct link *link)
{
    const struct access_tls *tls = &link->config->tls;
    my_bool yes = 1;

    mysql_options(link->mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(link->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    mysql_options(link->mysql, MYSQL_OPT_SSL_CA, tls->ca);
    if (tls->cert[0]) {
        mysql_options(link->mysql, MYSQL_OPT_SSL_CERT, tls->cert);
        mysql_options(link->mysql, MYSQL_OPT_SSL_KEY, tls->key);
    }
}

static void set_options(struct link *link)
{
    const struct worker_config *c = link->config;
    unsigned protocol = c->endpoint.socket[0] ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned connect_s = c->connect_timeout_s ? c->connect_timeout_s : 1;
    unsigned io_s = c->io_timeout_s ? c->io_timeout_s : 1, local_infile = 0;
    unsigned long packet = PACKET_MAX;
    my_bool no = 0;

    mysql_options(link->mysql, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(link->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(link->mysql, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(link->mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(link->mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(link->mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(link->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(link->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    /* A false server must not be able to ask for the password in clear. */
    mysql_options(link->mysql, MARIADB_OPT_RESTRICTED_AUTH, "mysql_native_password,client_ed25519,parsec");
}

/* The password as it is now. */
static bool read_password(const struct link *link, char *password, struct worker_result *result)
{
    const struct worker_config *c = link->config;
    char text[WORKER_TEXT_MAX + 1];

    if (!c->password_file[0]) {
        strcpy(password, c->password);
        return true;
    }
    int r = access_password_read(c->password_file, password);
    if (r == ACCESS_OK)
        return true;
    snprintf(text, sizeof(text), "password_file %s %s", c->password_file, access_result_text(r));
    link_fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_PASSWORD, text);
    return false;
}

/* The connector does not say that it was the name: its other refusals of a certificate give their reason. */
static bool fail_connect(struct link *link, bool secure, struct worker_result *result)
{
    char text[WORKER_TEXT_MAX + 1];
    const char *said = mysql_error(link->mysql), *bare = "Validation of SSL server certificate failed";
    size_t length = strlen(said);

    if (!secure || length < strlen(bare) || strcmp(said + length - strlen(bare), bare) != 0)
        return fail_mysql(link, result, ANSWER_STAGE_CONNECT);
    snprintf(text, sizeof(text), "%s (is it made out for the host %s?)", said, link->config->endpoint.host);
    link_fail(result, ANSWER_STAGE_CONNECT, mysql_errno(link->mysql), text);
    return false;
}

static bool shake_hands(struct link *link, const char *password, struct worker_result *result)
{
    const struct worker_config *c = link->config;
    bool in_socket = c->endpoint.socket[0] != '\0',
         secure = c->tls.ca[0] && access_endpoint_remote(&c->endpoint);

    if (secure)
        set_tls(link);
    if (!mysql_real_connect(link->mysql, in_socket ? NULL : c->endpoint.host, c->user,
                            password[0] ? password : NULL, NULL, in_socket ? 0 : c->endpoint.port,
                            in_socket ? c->endpoint.socket : NULL, 0))
        return fail_connect(link, secure, result);
    /* Enforcing alone accepts a server without TLS, in some versions of the connector. */
    if (secure && !mysql_get_ssl_cipher(link->mysql)) {
        link_fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_TLS,
                  "the server speaks without TLS, and tls_ca asks for it: refused");
        return false;
    }
    if (!link_socket(link)) {
        link_fail(result, ANSWER_STAGE_CONNECT, 2013, "cancelled");
        return false;
    }
    return true;
}

bool link_open(struct link *link, struct worker_result *result)
{
    char password[ACCESS_PASSWORD_MAX + 1];

    link->facts = (struct worker_facts){};
    if (!read_password(link, password, result))
        return false;
    link->mysql = mysql_init(NULL);
    if (!link->mysql) {
        explicit_bzero(password, sizeof(password));
        link_fail(result, ANSWER_STAGE_CONNECT, 2008, "out of memory");
        return false;
    }
    set_options(link);
    bool ok = shake_hands(link, password, result);
    explicit_bzero(password, sizeof(password));
    if (ok && facts_learn(link, result))
        return true;
    link_close(link);
    return false;
}
