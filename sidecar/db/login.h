#pragma once
/* What an account that is there logs in with, beside what a configuration has. Reads only. */
#include "db/sync.h"

enum login {
    LOGIN_NONE,  /* there is no such account, or it may not be looked at */
    LOGIN_SAME,  /* it can log in with that password, or as that OS user */
    LOGIN_OTHER, /* it cannot */
    LOGIN_ODD,   /* it logs in by a plugin of which that cannot be said */
};

/* @password NULL: by unix_socket. Sends the hash that the server keeps: who reads it in a log cannot log in
 * with it, though guesses can be tried on it. */
enum login login_compare(struct sync *sync, const char *user, const char *host, const char *password);
