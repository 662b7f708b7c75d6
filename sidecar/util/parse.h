#pragma once
/* Text from people and from the outside, checked and bounded. 0 or -EINVAL / -ERANGE; nothing written on
 * error. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Decimal digits only: no sign, no space. */
int parse_u64(const char *text, uint64_t *ret);

/* "500ms", "20s", "2m", "1h": a whole number and a unit, always. */
int parse_duration_ns(const char *text, uint64_t *ret_ns);

/* Writes the shortest exact text of @ns in the same form ("1500ms", "20s"). */
void format_duration(uint64_t ns, char *buf, size_t size);

/* Lease and member names: 1..63 of [A-Za-z0-9._-], not beginning with '-' or '.'. They become paths and
 * identifiers. */
bool parse_name_valid(const char *text);

int parse_hex(const char *text, uint8_t *ret, size_t size);
void format_hex(const uint8_t *bytes, size_t size, char *buf); /* buf holds 2*size+1 */

/* Replaces every control byte and every byte that is not ASCII by '?': for logs, terminals and environments.
 */
void parse_sanitise(char *text);

/* "127.0.0.1:8008" or "[::1]:8008": a numeric address, no name, and a port that is not 0. */
int parse_socket_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size);
