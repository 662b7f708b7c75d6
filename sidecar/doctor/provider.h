#pragma once
/* Texts of Galera's provider (wsrep_provider_options): values and times in them. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of @key in "a.b = 1; c.d = PT5S; ..."; false: it is not there, or does not fit. */
bool provider_value(const char *options, const char *key, char *buf, size_t size);

/* ISO 8601 durations as Galera prints them: PT5S, PT0.25S, PT1M30S, P1D. false: it is none. */
bool provider_duration_ns(const char *text, uint64_t *ret_ns);

/* Both. */
bool provider_time_ns(const char *options, const char *key, uint64_t *ret_ns);

/* "PT0.5S" */
void provider_format(uint64_t ns, char *buf, size_t size);
