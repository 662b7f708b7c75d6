/* Lists of texts: the files that are compared, and the lines in them that do not count. */
#include <string.h>

#include "app/config_reader.h"

static bool printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static bool has(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->text[i], text) == 0)
            return true;
    return false;
}

/* What is wrong with one entry; NULL: nothing. */
static const char *path_mistake(const char *text)
{
    if (text[0] != '/')
        return "must be an absolute path";
    return strpbrk(text, ",:") ? "must hold neither ',' nor ':'" : NULL;
}

static const char *mistake(const struct config_list *list, enum option_type type, const char *text,
                           char *reason, size_t size)
{
    if (text[0] == '\0')
        return "is empty";
    if (!printable(text))
        return "holds characters that are not printable ASCII";
    if (strlen(text) >= CONFIG_TEXT_MAX)
        return "is too long";
    if (has(list, text))
        return "is given twice";
    if (type == OPTION_PATHS)
        return path_mistake(text);
    return drift_pattern_check(text, reason, size) != 0 ? reason : NULL;
}

void config_take_list(struct config_reader *r, const struct option_row *o, const config_setting_t *s)
{
    struct config_list *list = config_field(r->base, o);
    int count = config_setting_is_aggregate(s) && !config_setting_is_group(s) ? config_setting_length(s) : -1;
    char reason[128];

    if (count < 0 || (unsigned)count > o->max) {
        config_complain(r, s, "%s: must be a list of at most %u texts in quotes, like (\"%s\")", o->name,
                        o->max, o->type == OPTION_PATHS ? "/etc/cmon.cnf" : "^#");
        return;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *entry = config_setting_get_elem(s, (unsigned)i);
        const char *text = config_setting_get_string(entry);
        const char *wrong = text ? mistake(list, o->type, text, reason, sizeof reason) : NULL;

        if (!text)
            config_complain(r, entry, "%s: entry %d is not a text in quotes", o->name, i + 1);
        else if (wrong)
            config_complain(r, entry, "%s: \"%.200s\" %s%s", o->name, text,
                            wrong == reason ? "is no regular expression: " : "", wrong);
        else
            strcpy(list->text[list->count++], text);
    }
}
