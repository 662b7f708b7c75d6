#pragma once
/* What a hook finds in its environment. For hook.c only. */
#include "hook/hook.h"

/* Into run->env, which must be empty. What there is no memory for is left out. */
void hook_environment(struct hook_run *run, const struct hook_spec *spec, const struct hook_facts *facts);

/* The part that is started next has @budget_ns. */
void hook_environment_budget(struct hook_run *run, uint64_t budget_ns);
