#pragma once
/*
 * What the sidecar shows through HTTP: the loop's side. It fills a view and posts it after every step of the
 * core, before what the step returned is performed: /leader says no before a demote hook starts. Nothing here
 * waits for the HTTP thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/view.h"

struct client_answer;
struct http_server;
struct node;

struct publish {
    struct view view; /* as posted last */
    struct board *board;
    struct http_server *server;
    uint64_t heard_fast_ns;
};

/* Without http_listen all of these do nothing. */
void publish_start(struct node *node);
void publish_step(struct node *node);
void publish_answer(struct node *node, const struct client_answer *answer); /* of a lease statement */
void publish_status(struct node *node, const char *text);
void publish_tick(struct node *node); /* once a second */
void publish_end(struct node *node);

/* For the member table; 0: none. */
uint16_t publish_port(const struct node *node);
