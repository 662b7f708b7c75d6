#pragma once
/* What a server's version means for a lease. Thread: any. */

/* Faults that concern a lease (prepared statements in a cluster, certification) are mended up to this one. */
#define VERSION_WANTED "10.11.11"

enum version_result {
    VERSION_OK = 0,
    VERSION_OLD,     /* MariaDB, and before VERSION_WANTED */
    VERSION_FOREIGN, /* another product, or a text that cannot be read */
};

/* Judges what `SELECT VERSION()` says, like "10.11.14-MariaDB-0+deb12u2-log". */
enum version_result version_judge(const char *text);
