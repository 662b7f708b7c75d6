/*
 * The guardian with real processes. The test plays the sidecar: it makes the page and the lock, starts the
 * guardian that was built ($GUARDIAN, with $LAUNCHER for its hooks), and writes down what the guardian is to
 * do. The controller is the file "runs" in the test's folder: the fence hook removes it, the check looks
 * for it. What the hooks do is in the file "log".
 */
#ifndef TEST_GUARDIAN_KIT_H
#define TEST_GUARDIAN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guardian/keeper.h"
#include "guardian/page.h"

#define MS       UINT64_C(1000000)
#define S        UINT64_C(1000000000)
#define PATIENCE (10 * S)

#define FENCE_STOPS "rm -f $D/runs"
#define CHECK_LOOKS "[ -e $D/runs ] && exit 0; exit 3"

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

extern struct page_config config; /* what the next page is made of: set_up() fills it, a test may change it */
extern struct page *page;
extern int page_fd, lock_fd;
extern char folder[128]; /* the test's own */
extern struct keeper keeper;
extern struct clocks sidecar_clock;

/* Once for all tests, and around each: a folder of its own, the two hooks, a controller that runs. */
int begin_all(void **state);
int end_all(void **state);
int set_up(void **state);
int tear_down(void **state);

/* The path of @name in the test's folder; good until the fourth call after. */
char *in_folder(const char *name);
/* A hook: $D is the folder, and each call but a check's is told in "log". */
void script(const char *name, const char *body);
void touch(const char *name);
const char *contents(const char *name);
bool exists(const char *name);

/* Everything up to the first guardian. */
void begin(void);
void start(void);
/* @ns from now the guardian is due. */
void arm(uint64_t epoch, uint64_t ns);
bool running(void);

/* Fails, and shows the log, where @done does not come true within PATIENCE. */
void wait_until(const char *what, bool (*done)(void));
bool is_stopped(void);
bool is_fencing(void);
bool fence_tried(void); /* the hook was run, whatever came of it */
bool is_over(void);

/* The tests, a file each; they return how many failed. */
int guardian_due(void);
int guardian_sidecar(void);
int guardian_kill(void);
int guardian_obstacle(void);

#endif
