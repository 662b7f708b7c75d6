#pragma once
/* What the lines are made of: tables of fields, one printer and one parser for all of them. */
#include "trace/trace.h"

enum field_kind {
    FIELD_BOOL, /* the bare name */
    FIELD_U16,
    FIELD_U32,
    FIELD_U64,
    FIELD_NS,    /* seconds */
    FIELD_NONCE, /* 16 bytes */
    FIELD_NAME,  /* char[LEASE_NAME_MAX + 1] */
    FIELD_ENUM,  /* words */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    const char *const *words; /* of an enum, ends with NULL; its first word is value 0 */
};

/* A line of one type. */
struct shape {
    const char *name;
    const struct field *fields; /* ends with a NULL name */
};

/* A text that grows in a caller's buffer; @length stays negative once it did not fit. */
struct line {
    char *buf;
    size_t size;
    int length;
};

void line_init(struct line *line, char *buf, size_t size);
void line_add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void line_ns(struct line *line, uint64_t ns);
void line_hex(struct line *line, const uint8_t *bytes, size_t count);

void fields_print(struct line *line, const struct field *fields, const void *from);

/*
 * Takes "name=value" words from *@text until its end, or until one named @stop begins (NULL: none). 0 or
 * -EINVAL.
 * @begin is where the line began, for the column.
 */
int fields_parse(const char *begin, const char **text, const struct field *fields, const char *stop, void *to,
                 struct trace_error *ret_error);

/* Takes one bare word; its length, 0 at the end. */
size_t fields_word(const char **text, const char **ret_word);

int fields_fail(const char *begin, const char *at, const char *what, struct trace_error *ret_error);

extern const struct field fields_row[], fields_version[];
extern const char *const words_answer[],
    *const words_write[], *const words_hook[], *const words_reason[], *const words_role[],
                                                                          *const words_state[];
