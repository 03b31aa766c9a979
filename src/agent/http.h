/*
 * src/agent/http.h
 *		One HTTP request, one answer.
 */
#ifndef VOXANNE_AGENT_HTTP_H
#define VOXANNE_AGENT_HTTP_H

#include "request.h"

/* A header of the answer that somebody wants to know */
typedef struct AnswerHeader
{
	const char *name;			/* in lower case; set by the caller */
	char		value[512];		/* cut; "" if it did not come */
} AnswerHeader;

/*
 * A transfer: first the origin is checked and the sandbox entered, then any
 * number of requests may follow, to that origin.
 */
typedef struct Transfer
{
	Request		request;
	const char *origin;			/* scheme://host:port, all of the URL that may
								 * be shown */
	const char *host;			/* as the header Host has it */
	uint16_t	port;
	void	   *curl;

	/* the next request */
	const char *method;			/* GET, HEAD or POST */
	const char *url;
	const char *const *headers; /* besides those of the request;
								 * NULL-terminated, or NULL */
	void		(*sink) (void *arg, const char *data, size_t len);	/* takes the body; NULL:
																	 * it is kept */
	void	   *sink_arg;
	uint64_t	max_bytes;		/* of the body */
	uint64_t	timeout_ms;
	AnswerHeader *wanted;		/* their values are filled in */
	int			n_wanted;

	/* the answer; the callbacks write here */
	void	   *header_list;
	char	   *body;
	size_t		body_len;
	size_t		body_size;
	uint64_t	taken;			/* bytes of the body, kept or not */
	size_t		header_bytes;
	bool		too_large;
	bool		address_refused;
	char		words[256];		/* at least CURL_ERROR_SIZE */

	/* set when there was an answer */
	bool		answered;
	bool		secret_body;	/* the body repeats a URL that is a secret */
	long		status;
	long		retry_after;	/* seconds, 0: not stated */
	int64_t		content_length; /* -1: not stated */
	int64_t		last_modified;	/* seconds since 1970, -1: not stated */
	char	   *detail;
} Transfer;

extern bool http_prepare(Report *report, Transfer *transfer);
extern int	http_try(Transfer *transfer);
extern const char *http_failure(const Transfer *transfer, int result);
extern void http_report_failure(Report *report, const Transfer *transfer, int result);
extern void http_close(Transfer *transfer);

#endif							/* VOXANNE_AGENT_HTTP_H */
