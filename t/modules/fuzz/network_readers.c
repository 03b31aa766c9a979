/*
 * t/modules/fuzz/network_readers.c
 *		What servers answer, and the requests that the agent is given for them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_readers.h"

#include "../../../src/agent/http.h"
#include "../../../src/agent/list.h"
#include "../../../src/agent/request.h"

/* A request that is understood names one URL. */
void
fuzz_request(const uint8_t *data, size_t size)
{
	static Report report;
	Request		request;

	memset(&report, 0, sizeof(report));
	if (read_request(&report, &request, input_file(data, size), true) && request.url == NULL)
		abort();
	forget_request(&request);
}

/* Pages of listings: whatever they are, a backup that is found has a name. */
void
fuzz_s3(const uint8_t *data, size_t size)
{
	S3Page		page = {0};

	if (s3_read_page(input_text(data, size), size, &page) == NULL && page.newest.key != NULL && page.newest.key[0] == '\0')
		abort();
}

void
fuzz_supabase(const uint8_t *data, size_t size)
{
	ProjectBackups backups;

	if (supabase_read_answer(input_text(data, size), size, &backups) == NULL && (backups.completed_at >= 0) != (backups.completed_id != NULL))
		abort();
}

/* The other end of the connection that libcurl thinks it has */
static int	peer = -1;

/* These two take the place of libc's. */
int
socket(int domain, int type, int protocol)
{
	int			pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)), 0, pair) != 0)
		return -1;
	if (peer >= 0)
		close(peer);
	peer = pair[1];
	return pair[0];
}

static const uint8_t *answer;
static size_t answer_size;

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	if (send(peer, answer, answer_size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || shutdown(peer, SHUT_WR) != 0)
		return 0;
	return 0;
}

/* The input as all that an HTTP server says. */
void
fuzz_http(const uint8_t *data, size_t size)
{
	static AnswerHeader wanted[] = {{"etag"}, {"x-amz-checksum-sha256"}, {"content-type"}};
	Transfer	transfer = {
		.request = {.url = "http://127.0.0.1:1/x",.allow_http = true,.connect_timeout_ms = 1000},
		.origin = "http://127.0.0.1:1",.host = "127.0.0.1:1",.method = "GET",.url = "http://127.0.0.1:1/x",
		.max_bytes = 1 << 16,.timeout_ms = 1000,.wanted = wanted,.n_wanted = 3,
	};

	answer = data;
	answer_size = size;
	(void) http_try(&transfer);
	if (transfer.body_len > transfer.max_bytes)
		abort();
	for (int i = 0; i < transfer.n_wanted; i++)
	{
		if (strlen(wanted[i].value) >= sizeof(wanted[i].value))
			abort();
	}
	http_close(&transfer);
	if (peer >= 0)
		close(peer);
	peer = -1;
}
