/* What stands in one group of `webhooks`; offsets are those of struct config_webhook. */
#include "app/config.h"
#include "app/options.h"

#define FIELD(field) offsetof(struct config_webhook, field), sizeof(((struct config_webhook *)0)->field)

const struct option_row option_webhook_rows[] = {
    {"url", OPTION_URL, OPTION_REQUIRED, FIELD(url), NULL, 0, 0,
     "where notices are posted to: http or https"},
    {"secret_file", OPTION_PATH, OPTION_SECRET, FIELD(secret_file), "", 0, 0,
     "what notices are signed with, in a file that nobody else may read; empty: not signed"},
    {"events", OPTION_EVENTS, 0, FIELD(events), NULL, 0, 0,
     "what it hears of: \"role\", \"alarm\" (any), or events by name", "(\"role\", \"alarm\")"},
    {"ca_file", OPTION_PATH, OPTION_READ, FIELD(ca_file), "", 0, 0,
     "certificates of those who vouch for it, as PEM; empty: as the system says"},
    {"timeout", OPTION_DURATION, 0, FIELD(timeout_ns), "10s", 100, 60000, "time for one delivery"},
    {"tries", OPTION_COUNT, 0, FIELD(tries), "5", 1, 20,
     "deliveries of one notice, after pauses of 1s, 2s, 4s ... 1m"},
};
const size_t option_webhook_row_count = sizeof option_webhook_rows / sizeof option_webhook_rows[0];
