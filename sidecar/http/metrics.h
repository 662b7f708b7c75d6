#pragma once
/* The text that Prometheus reads. Pure. */
#include "http/text.h"

struct answer_now;
struct answer_site;
struct view;

void metrics_render(const struct answer_site *site, const struct view *view, const struct answer_now *now,
                    struct text *out);
