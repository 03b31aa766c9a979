/*
 * src/agent/list.h
 *		Command list: what the providers on the network share.
 *
 * A provider finds the newest backup at a URL and says in checks what was shown
 * of it.  It is a row of the table in list.c and a file list_NAME.c.
 */
#ifndef VOXANNE_AGENT_LIST_H
#define VOXANNE_AGENT_LIST_H

#include "http.h"

/* The backup that was found; what is not known is NULL or -1 */
typedef struct Found
{
	char	   *id;
	int64_t		finished_at;	/* seconds since 1970 */
	int64_t		size_bytes;
	char	   *etag;
	char	   *sha256;			/* of what was read */
} Found;

/* How a request ended; for all but REQUEST_DONE the report says why */
typedef enum RequestEnd
{
	REQUEST_DONE,
	REQUEST_NOT_FOUND,
	REQUEST_BROKEN_OFF,			/* the body ended too early or was too long */
	REQUEST_FAILED
} RequestEnd;

typedef struct Listing
{
	Report	   *report;
	Transfer   *transfer;
	bool		deep;			/* level verify */
	char	   *secret;			/* text of the secret file, or NULL */
	int64_t		deadline;		/* in milliseconds of the monotonic clock */
	void		(*authorize) (struct Listing *listing, const char *method); /* sets the transfer's
																			 * headers for the next
																			 * try */
	void	   *provider_state;
	Found		found;
	const char *proof;			/* or NULL: nothing was shown */
	int64_t		window_from;	/* times to which a restore can go; -1: not
								 * known */
	int64_t		window_to;
} Listing;

typedef struct ListProvider
{
	const char *name;
	bool		deep;			/* has level verify */
	bool		needs_secret;
	const char *secret;			/* what the secret file holds */
	void		(*list) (Listing *listing);
} ListProvider;

extern const ListProvider http_provider;
extern const ListProvider s3_provider;
extern const ListProvider supabase_provider;

extern RequestEnd listing_request(Listing *listing, const char *method, const char *url);
extern void listing_contents(Listing *listing, const char *url, const char *stated_sha256);
extern void listing_bad_response(Listing *listing, const char *problem);
extern char *percent_decode(const char *str, size_t len);

/* in sigv4.c */
typedef struct Signer
{
	char	   *access_key;
	char	   *secret_key;
	char	   *token;			/* or NULL */
	const char *region;
	char	   *headers[6];		/* of the last request that was signed,
								 * NULL-terminated */
} Signer;

extern void sigv4_sign(Signer *signer, int64_t now, const char *method, const char *host,
					   const char *path, const char *query);
extern void sigv4_forget(Signer *signer);
extern char *uri_encode(const char *str, bool keep_slash);

/* in s3_page.c */
typedef struct S3Object
{
	char	   *key;
	int64_t		last_modified;
	int64_t		size;
	char	   *storage_class;	/* or NULL */
} S3Object;

typedef struct S3Page
{
	uint64_t	objects;
	S3Object	newest;			/* key is NULL: there is none */
	bool		truncated;
	char	   *token;			/* of the next page, or NULL */
} S3Page;

extern const char *s3_read_page(const char *text, size_t len, S3Page *page);

/* in supabase_answer.c */
/* What the Management API says */
typedef struct ProjectBackups
{
	bool		pitr;
	int64_t		earliest;		/* of the recovery window; -1: not stated */
	int64_t		latest;
	uint64_t	count;
	char	   *completed_id;	/* of the newest that is complete, or NULL */
	int64_t		completed_at;	/* -1: there is none */
	int64_t		failed_at;		/* of the newest that failed; -1: there is
								 * none */
} ProjectBackups;

extern const char *supabase_read_answer(const char *text, size_t len, ProjectBackups *backups);

#endif							/* VOXANNE_AGENT_LIST_H */
