#include "db/answer.h"

#include <stddef.h>

/*
 * Only what is certain stands here. "refused": the statement was not applied and never will be. Server
 * numbers are below 2000 and from 3000 on, the connector's from 2000 (5000 for MariaDB's own).
 */
static const struct {
    unsigned error;
    bool refused; /* for a write */
    bool closes;
    bool permanent;
} answers[] = {
    /* conflicts and limits: the statement was rolled back before its commit */
    {1213, true, false}, /* deadlock, or lost certification */
    {1205, true, false}, /* lock wait */
    {1969, true, false}, /* max_statement_time, on the statement itself */
    {1020, true, false}, /* record has changed since last read */
    {1047, true, true},  /* not executed: no quorum, or the node is not prepared */
    /* the statement never ran: rights, names, shape */
    {1044, true, false, true},
    {1045, true, true},
    {1046, true, false, true},
    {1049, true, false, true},
    {1054, true, false, true},
    {1064, true, false, true},
    {1142, true, false, true},
    {1143, true, false, true},
    {1146, true, false, true},
    {1227, true, false, true},
    {1290, true, true},        /* read_only and the like */
    {1356, true, false, true}, /* a view without its table */
    {1370, true, false, true},
    {1698, true, true},
    {1820, true, true},        /* password expired */
    {1836, true, true},        /* read only mode */
    {4025, true, false, true}, /* CHECK constraint */
    {1062, true, false, true},
    {1264, true, false, true},
    {1265, true, false, true},
    {1406, true, false, true},
    {1452, true, false, true},
    {1644, true, false, true}, /* SIGNAL of a procedure or trigger */
    /* may be applied, now or seconds later; listed so that nobody "improves" them */
    {1180, false, true}, /* error during COMMIT: of two such, one had committed (measured) */
    {1317, false, true}, /* interrupted: KILL QUERY does not bound a commit that waits */
    {1053, false, true}, /* shutdown in progress */
    {1927, false, true}, /* connection was killed */
    {1158, false, true},
    {1159, false, true},
    {1160, false, true},
    {1161, false, true},
    {2006, false, true},
    {2013, false, true},
    {2026, false, true},
    {2027, false, true},
    {2055, false, true},
};

enum lease_answer answer_class(enum answer_stage stage, unsigned error)
{
    if (stage != ANSWER_STAGE_WRITE)
        return LEASE_ANSWER_REFUSED;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (answers[i].error == error)
            return answers[i].refused ? LEASE_ANSWER_REFUSED : LEASE_ANSWER_UNKNOWN;
    return LEASE_ANSWER_UNKNOWN;
}

bool answer_non_primary(unsigned error)
{
    return error == 1047;
}

bool answer_permanent(unsigned error)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (answers[i].error == error)
            return answers[i].permanent;
    return false;
}

bool answer_closes(unsigned error)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (answers[i].error == error)
            return answers[i].closes;
    return error != 0;
}
