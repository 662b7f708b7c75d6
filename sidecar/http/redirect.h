#pragma once
/* Where a client is sent: a URL with {address} and {port} in it, of the member that leads. Pure. */
#include <stddef.h>
#include <stdint.h>

#define REDIRECT_URL_MAX 768

/* 0, or -EINVAL: no http or https URL, or braces around anything else. */
int redirect_check(const char *url);

/*
 * 0; -ENOENT: the member has no address, or no port where the URL wants one; -EINVAL: its address, which came
 * from the database, is none. @url passed redirect_check().
 */
int redirect_url(const char *url, const char *address, uint16_t port, char *buf, size_t size);
