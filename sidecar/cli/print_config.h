#pragma once
/*
 * What a configuration comes to: every option with its value and where that was read, and the arithmetic of
 * its times. The text is a configuration again: given options alive, defaults as comments.
 */
#include <stdio.h>

#include "app/config.h"

/* @whole false: the configuration was refused; its times only. 0, or -1: the output cannot be written. */
int print_config_text(const struct config *config, bool whole, FILE *out);
int print_config_json(const struct config *config, bool whole, FILE *out);
