/*
 * src/agent/options.h
 *		Options of the command line.
 */
#ifndef VOXANNE_AGENT_OPTIONS_H
#define VOXANNE_AGENT_OPTIONS_H

#include "agent.h"

#include <getopt.h>

/* What getopt_long() returns */
#define FOUND_OPTION 'o'
#define FOUND_HELP 'h'

extern const struct option *describe_options(void);
extern bool store_option(Options *options, int index, const char *value);
extern const char *wanted_value(int index);

#endif							/* VOXANNE_AGENT_OPTIONS_H */
