/*
 * src/agent/request.h
 *		What fetch and post are asked to do.
 */
#ifndef VOXANNE_AGENT_REQUEST_H
#define VOXANNE_AGENT_REQUEST_H

#include "report.h"

#define MAX_HEADERS 32

/* The backup that list found the last time; what is not known is NULL or 0 */
typedef struct Previous
{
	char	   *id;
	char	   *finished_at;
	char	   *etag;
	char	   *sha256;
	uint64_t	size_bytes;
} Previous;

typedef struct Request
{
	char	   *url;
	char	   *url_file;
	char	   *body;			/* post only; NULL: empty */
	char	   *content_type;
	char	   *headers[MAX_HEADERS];	/* "Name: value" */
	int			n_headers;
	uint64_t	timeout_ms;
	uint64_t	connect_timeout_ms;
	uint64_t	max_bytes;		/* of the answer's body */
	char	   *ca_file;
	bool		allow_http;

	/* list only */
	char	   *provider;
	char	   *level;
	char	   *secret_file;
	char	   *region;
	uint64_t	window_seconds; /* so long back a restore must be able to go */
	Previous	previous;
} Request;

extern bool read_request(Report *report, Request *request, int fd, bool list);
extern char *read_secret_file(Report *report, const char *path, const char *what, const char *code);
extern void forget_request(Request *request);

#endif							/* VOXANNE_AGENT_REQUEST_H */
