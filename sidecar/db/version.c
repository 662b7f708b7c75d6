#include "db/version.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum version_result version_judge(const char *text)
{
    unsigned got[3], wanted[3];

    if (strncmp(text, "5.5.5-10.", 9) == 0) /* what old servers put before it for MySQL's replicas */
        text += 6;
    if (!strcasestr(text, "mariadb") || sscanf(text, "%3u.%3u.%5u", &got[0], &got[1], &got[2]) != 3)
        return VERSION_FOREIGN;
    sscanf(VERSION_WANTED, "%u.%u.%u", &wanted[0], &wanted[1], &wanted[2]);
    for (unsigned i = 0; i < 3; i++)
        if (got[i] != wanted[i])
            return got[i] < wanted[i] ? VERSION_OLD : VERSION_OK;
    return VERSION_OK;
}
