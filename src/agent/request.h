/*
 * src/agent/request.h
 *		What fetch and post are asked to do.
 */
#ifndef VOXANNE_AGENT_REQUEST_H
#define VOXANNE_AGENT_REQUEST_H

#include "report.h"

#define MAX_HEADERS 32

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
} Request;

extern bool read_request(Report *report, Request *request, int fd);
extern void forget_request(Request *request);

#endif							/* VOXANNE_AGENT_REQUEST_H */
