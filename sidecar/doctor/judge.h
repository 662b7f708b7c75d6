#pragma once
/*
 * The doctor's judgement: facts in, verdicts with reason and remedy out. Pure: no clock, no file, no
 * database.
 */
#include "doctor/facts.h"
#include "doctor/findings.h"

void judge_endpoints(const struct doctor_facts *facts, struct findings *f);
void judge_cluster(const struct doctor_facts *facts, struct findings *f);
void judge_settings(const struct doctor_facts *facts, struct findings *f);
void judge_times(const struct doctor_facts *facts, struct findings *f);
void judge_clocks(const struct doctor_facts *facts, struct findings *f);
void judge_schema(const struct doctor_facts *facts, struct findings *f);
void judge_grants(const struct doctor_facts *facts, struct findings *f);
void judge_members(const struct doctor_facts *facts, struct findings *f);
void judge_host(const struct doctor_facts *facts, struct findings *f);

/* All of the above. */
void judge_all(const struct doctor_facts *facts, struct findings *f);

/* How long writes stop, at the most, when a node dies: until it is suspected, that is noticed, and the others
 * have agreed (measured: 6.0 to 6.4 s with 5 + 0.5 + 1, 1.1 to 2.2 s with 1 + 0.25 + 1). false: not known. */
bool judge_stall_ns(const char *provider, uint64_t *ret_ns);

/* The shortest ttl in whole seconds for which the database may be silent for @stall_ns, with the times that
 * @config gives itself left as they are; 0: none. */
uint64_t judge_ttl_needed_s(const struct config *config, uint64_t stall_ns);

/* Provider options under which a node's death costs no more than @silent_ns; false: there are no sound ones.
 */
bool judge_evs_needed(uint64_t silent_ns, char *buf, size_t size);
