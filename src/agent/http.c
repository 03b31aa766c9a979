/*
 * src/agent/http.c
 *		One HTTP request, one answer.
 *
 * Everything that could lead elsewhere than the URL says is off: redirects,
 * proxies, cookies, .netrc, other protocols, addresses of the local link
 * (where clouds keep their instances' credentials).  The peer is always
 * verified; there is no switch for it.  Size and time are capped whatever the
 * peer does.  Messages name the host at most: path and query of a webhook are
 * its password.
 */
#include "http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_HEADER_BYTES ((size_t) 256 << 10)

/* Slower than this for as long is not a transfer any more */
#define LOW_SPEED_BYTES 16L
#define LOW_SPEED_SECONDS 20L

/* How a failed transfer is reported; others are "transfer". */
static const struct
{
	CURLcode	result;
	const char *code;
	const char *what;
}			transfer_errors[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "dns", "its name could not be resolved"},
	{CURLE_COULDNT_CONNECT, "connect", "no connection could be made"},
	{CURLE_OPERATION_TIMEDOUT, "timeout", "it did not answer in time"},
	{CURLE_PEER_FAILED_VERIFICATION, "tls", "its certificate could not be verified"},
	{CURLE_SSL_CONNECT_ERROR, "tls", "no TLS connection could be made"},
	{CURLE_SSL_CACERT_BADFILE, "tls", "the file with CA certificates cannot be read"},
	{CURLE_SSL_CERTPROBLEM, "tls", "there is a problem with a certificate"},
	{CURLE_SSL_CIPHER, "tls", "no cipher is common"},
	{CURLE_SSL_ISSUER_ERROR, "tls", "its certificate's issuer is wrong"},
	{CURLE_GOT_NOTHING, "transfer", "it closed the connection without an answer"},
	{CURLE_RECV_ERROR, "transfer", "the connection broke off"},
	{CURLE_SEND_ERROR, "transfer", "the connection broke off"},
	{CURLE_PARTIAL_FILE, "transfer", "the connection broke off before the end of its answer"},
	{CURLE_UNSUPPORTED_PROTOCOL, "transfer", "it does not speak HTTP"},
	{CURLE_WEIRD_SERVER_REPLY, "transfer", "it does not speak HTTP"},
};

/* Is it an address that only means something on this machine's own link? */
static bool
is_link_local(const struct sockaddr *address)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const unsigned char aws_metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54};
	const unsigned char *bytes;

	if (address->sa_family == AF_INET)
	{
		bytes = (const unsigned char *) &((const struct sockaddr_in *) address)->sin_addr;
		return bytes[0] == 169 && bytes[1] == 254;
	}
	if (address->sa_family != AF_INET6)
		return true;			/* nothing that a URL should lead to */
	bytes = (const unsigned char *) &((const struct sockaddr_in6 *) address)->sin6_addr;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return bytes[12] == 169 && bytes[13] == 254;
	return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
		memcmp(bytes, aws_metadata, sizeof(aws_metadata)) == 0;
}

/* Callback of libcurl: the socket for one address that the name resolved to. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer   *transfer = arg;

	if (is_link_local(&address->addr))
	{
		transfer->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Callback of libcurl: a piece of the body; anything but "size * count" ends the transfer. */
static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	Transfer   *transfer = arg;
	size_t		len = size * count;

	if (len > transfer->max_bytes - transfer->taken)
	{
		transfer->too_large = true;
		return 0;
	}
	transfer->taken += len;
	if (transfer->sink != NULL)
	{
		transfer->sink(transfer->sink_arg, data, len);
		return len;
	}
	if (len > transfer->body_size - transfer->body_len)
	{
		transfer->body_size = transfer->body_len + len + transfer->body_size;
		transfer->body = xrealloc(transfer->body, transfer->body_size);
	}
	if (len > 0)
		memcpy(transfer->body + transfer->body_len, data, len);
	transfer->body_len += len;
	return len;
}

/* Keep the value of a header that is wanted.  A later answer's comes after an interim one's. */
static void
keep_header(Transfer *transfer, const char *data, size_t len)
{
	for (int i = 0; i < transfer->n_wanted; i++)
	{
		AnswerHeader *wanted = &transfer->wanted[i];
		size_t		name = strlen(wanted->name);

		if (len <= name || strncasecmp(data, wanted->name, name) != 0 || data[name] != ':')
			continue;
		for (data += name + 1, len -= name + 1; len > 0 && (*data == ' ' || *data == '\t'); len--)
			data++;
		while (len > 0 && strchr(" \t\r\n", data[len - 1]) != NULL)
			len--;
		if (len >= sizeof(wanted->value))
			len = sizeof(wanted->value) - 1;
		memcpy(wanted->value, data, len);
		wanted->value[len] = '\0';
		return;
	}
}

/* Callback of libcurl: a header; they must not come without end. */
static size_t
take_header(char *data, size_t size, size_t count, void *arg)
{
	Transfer   *transfer = arg;

	transfer->header_bytes += size * count;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->too_large = true;
		return 0;
	}
	keep_header(transfer, data, size * count);
	return size * count;
}

/* One part of a parsed URL, to be freed with curl_free(); NULL without it. */
static char *
url_part(CURLU *url, CURLUPart part)
{
	char	   *str = NULL;

	return curl_url_get(url, part, &str, CURLU_DEFAULT_PORT) == CURLUE_OK ? str : NULL;
}

/*
 * May this URL be used?  Sets origin and port; else false with the report's
 * error set, which repeats nothing of the URL.
 */
static bool
check_url(Report *report, Transfer *transfer)
{
	CURLU	   *url = curl_url();
	CURLUcode	result = curl_url_set(url, CURLUPART_URL, transfer->request.url, CURLU_DISALLOW_USER);
	char	   *scheme = result == CURLUE_OK ? url_part(url, CURLUPART_SCHEME) : NULL;
	char	   *host = result == CURLUE_OK ? url_part(url, CURLUPART_HOST) : NULL;
	char	   *port = result == CURLUE_OK ? url_part(url, CURLUPART_PORT) : NULL;
	bool		http = scheme != NULL && strcmp(scheme, "http") == 0;

	if (result == CURLUE_USER_NOT_ALLOWED)
		report_error(report, "user_info", xstrdup("The URL holds a user name or password."),
					 "Send credentials in a header.");
	else if (result != CURLUE_OK || scheme == NULL || host == NULL || port == NULL)
		report_error(report, "bad_url", xstrdup("The URL is malformed."), "It must look like https://host/path.");
	else if (http && !transfer->request.allow_http)
		report_error(report, "http_not_allowed", xstrdup("The URL begins with http://, which is not allowed."),
					 "Use https://.");
	else if (!http && strcmp(scheme, "https") != 0)
		report_error(report, "bad_url", xstrdup("The URL does not begin with https://."), NULL);
	else
	{
		transfer->origin = format("%s://%s:%s", scheme, host, port);
		transfer->host = strcmp(port, http ? "80" : "443") == 0 ? xstrdup(host) : format("%s:%s", host, port);
		transfer->port = (uint16_t) strtoul(port, NULL, 10);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return report->error_code == NULL;
}

/*
 * Let the sandbox keep what a resolver, TLS and their plug-ins read.  Not all
 * of /etc: private keys and the server's configuration may be there.
 */
static void
allow_network_files(SandboxPlan *plan, const Request *request)
{
	static const char *const paths[] = {
		"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
		"/etc/protocols", "/run/systemd/resolve",
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/ssl/ca-bundle.pem", "/etc/ca-certificates",
		"/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust",
		"/etc/crypto-policies", "/var/lib/ca-certificates",
		"/etc/ld.so.cache", "/etc/localtime",
		"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share", "/usr/local/share", "/usr/local/lib", "/nix/store",
		"/dev/urandom", "/dev/random"
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		sandbox_allow(plan, AT_FDCWD, paths[i]);
	if (request->ca_file != NULL)
		sandbox_allow(plan, AT_FDCWD, request->ca_file);
}

/* Set an option; a libcurl that does not know it cannot be trusted to keep the rules. */
#define SET(option, value) \
	do { \
		if (result == CURLE_OK) \
			result = curl_easy_setopt(curl, option, value); \
	} while (0)

static CURLcode
set_rules(CURL *curl, const Transfer *transfer)
{
	CURLcode	result = CURLE_OK;
	const char *protocols = transfer->request.allow_http ? "http,https" : "https";

#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, protocols);
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
#else
	SET(CURLOPT_PROTOCOLS, transfer->request.allow_http ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS);
	SET(CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTPS);
	(void) protocols;
#endif
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	SET(CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
	return result;
}

static CURLcode
set_request(CURL *curl, Transfer *transfer)
{
	const Request *request = &transfer->request;
	CURLcode	result = CURLE_OK;

	SET(CURLOPT_URL, transfer->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_FILETIME, 1L);
	SET(CURLOPT_USERAGENT, "voxanne_agent/" VOXANNE_VERSION);
	SET(CURLOPT_TIMEOUT_MS, (long) transfer->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_timeout_ms);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->words);
	if (request->ca_file != NULL)
	{
		SET(CURLOPT_CAINFO, request->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (strcmp(transfer->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	if (strcmp(transfer->method, "POST") == 0)
	{
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) (request->body == NULL ? 0 : strlen(request->body)));
		SET(CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
	}
	SET(CURLOPT_HTTPHEADER, (struct curl_slist *) transfer->header_list);
	return result;
}

static void
add_header(Transfer *transfer, const char *header)
{
	struct curl_slist *longer = curl_slist_append(transfer->header_list, header);

	if (longer == NULL)
		abort();
	transfer->header_list = longer;
}

/* The headers: the request's, and what makes libcurl send no more than that. */
static void
collect_headers(Transfer *transfer)
{
	const char *type = transfer->request.content_type;

	for (int i = 0; i < transfer->request.n_headers; i++)
		add_header(transfer, transfer->request.headers[i]);
	for (int i = 0; transfer->headers != NULL && transfer->headers[i] != NULL; i++)
		add_header(transfer, transfer->headers[i]);
	if (strcmp(transfer->method, "POST") == 0)
	{
		char	   *header = format("Content-Type: %s", type != NULL ? type : "application/json");

		add_header(transfer, header);
		free(header);
		add_header(transfer, "Expect:");
	}
}

static void
forget_headers(Transfer *transfer)
{
	for (struct curl_slist *header = transfer->header_list; header != NULL; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(transfer->header_list);
	transfer->header_list = NULL;
}

/* Why there was no answer: the code for reports, a constant. */
const char *
http_failure(const Transfer *transfer, int result)
{
	if (transfer->too_large)
		return "too_large";
	if (transfer->address_refused)
		return "address_refused";
	for (size_t i = 0; i < sizeof(transfer_errors) / sizeof(transfer_errors[0]); i++)
	{
		if ((int) transfer_errors[i].result == result)
			return transfer_errors[i].code;
	}
	return "transfer";
}

/* No answer: say why. */
void
http_report_failure(Report *report, const Transfer *transfer, int result)
{
	const char *code = http_failure(transfer, result);
	const char *what = curl_easy_strerror((CURLcode) result);
	bool		words = false;

	for (size_t i = 0; i < sizeof(transfer_errors) / sizeof(transfer_errors[0]); i++)
	{
		if ((int) transfer_errors[i].result == result)
		{
			what = transfer_errors[i].what;

			/*
			 * libcurl's own words about these hold no more than host and
			 * certificate
			 */
			words = strcmp(code, "tls") == 0 && transfer->words[0] != '\0';
		}
	}
	if (transfer->too_large)
		report_error(report, code, format("%s was not read to its end: its answer is longer than allowed (%" PRIu64 " bytes).",
										  transfer->origin, transfer->max_bytes), NULL);
	else if (transfer->address_refused)
		report_error(report, code,
					 format("%s was not contacted: it has a link-local address.", transfer->origin),
					 "Such addresses lead to services of this very machine, like a cloud's credentials.");
	else if (result == CURLE_UNKNOWN_OPTION || result == CURLE_NOT_BUILT_IN)
		report_error(report, "transfer", format("The installed libcurl lacks an option: %s.", what),
					 "It must be 7.75 or later, with TLS.");
	else
		report_error(report, code, format("%s could not be used: %s%s%s%s.", transfer->origin, what,
										  words ? " (" : "", words ? transfer->words : "", words ? ")" : ""), NULL);
}

/* There was an answer: note what it says of itself. */
static void
note_answer(Transfer *transfer)
{
	curl_off_t	number = 0;

#if LIBCURL_VERSION_NUM >= 0x074200
	if (curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &number) == CURLE_OK)
		transfer->retry_after = (long) number;
#endif
	if (curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &transfer->status) != CURLE_OK)
		transfer->status = 0;
	if (curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &number) == CURLE_OK)
		transfer->content_length = (int64_t) number;
	if (curl_easy_getinfo(transfer->curl, CURLINFO_FILETIME_T, &number) == CURLE_OK)
		transfer->last_modified = (int64_t) number;
	transfer->answered = true;
	free(transfer->detail);
	if (transfer->status >= 300 && transfer->status <= 399)
		transfer->detail = format("%s answered with status %ld, a redirect, and those are not followed.",
								  transfer->origin, transfer->status);
	else
		transfer->detail = format("%s answered with status %ld.", transfer->origin, transfer->status);
}

/*
 * May the request's URL be used?  If so the sandbox is entered for it; else
 * false with the report's error set.
 */
bool
http_prepare(Report *report, Transfer *transfer)
{
	SandboxPlan plan = {.network = true};

	transfer->url = transfer->request.url;
	transfer->max_bytes = transfer->request.max_bytes;
	transfer->timeout_ms = transfer->request.timeout_ms;
	if (!check_url(report, transfer))
		return false;
	plan.port = transfer->port;
	allow_network_files(&plan, &transfer->request);
	sandbox_enter(&plan, &report->sandbox);
	return true;
}

/*
 * Do the next request; 0 if there was an answer, of whatever status, else a
 * result for http_report_failure().
 */
int
http_try(Transfer *transfer)
{
	CURLcode	result;

	if (transfer->curl == NULL)
		transfer->curl = curl_easy_init();
	else
		curl_easy_reset(transfer->curl);
	if (transfer->curl == NULL)
		return CURLE_FAILED_INIT;
	transfer->body_len = 0;
	transfer->taken = 0;
	transfer->header_bytes = 0;
	transfer->too_large = transfer->address_refused = transfer->answered = false;
	transfer->words[0] = '\0';
	transfer->retry_after = 0;
	transfer->content_length = transfer->last_modified = -1;
	for (int i = 0; i < transfer->n_wanted; i++)
		transfer->wanted[i].value[0] = '\0';

	collect_headers(transfer);
	result = set_rules(transfer->curl, transfer);
	if (result == CURLE_OK)
		result = set_request(transfer->curl, transfer);
	if (result == CURLE_OK)
		result = curl_easy_perform(transfer->curl);
	if (result == CURLE_OK)
		note_answer(transfer);
	forget_headers(transfer);
	return (int) result;
}

/* Close the connection. */
void
http_close(Transfer *transfer)
{
	if (transfer->curl != NULL)
		curl_easy_cleanup(transfer->curl);
	transfer->curl = NULL;
}
