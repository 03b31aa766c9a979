/*
 * t/modules/misbehave/network.c
 *		Sockets of all kinds, and connections to where none may lead.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "misbehave.h"

static long
connect_tcp(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int			sock = socket(AF_INET, SOCK_STREAM, 0);

	if (sock < 0)
		return -1;
	address.sin_port = htons(atoi(port));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(sock, (struct sockaddr *) &address, sizeof(address));
}

static long
connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			sock = socket(AF_UNIX, SOCK_STREAM, 0);

	if (sock < 0)
		return -1;
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return connect(sock, (struct sockaddr *) &address, sizeof(address));
}

void
use_network(void)
{
	int			pair[2];

	TRY("internet socket", socket(AF_INET, SOCK_STREAM, 0));
	TRY("internet socket 6", socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("route socket", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	TRY("stream pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY("datagram pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	TRY("unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
	TRY("server's socket", connect_unix(named("MISBEHAVE_SOCKET")));
	TRY("other port", connect_tcp(named("MISBEHAVE_PORT")));
	TRY("raw socket", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("kernel's events", socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
	TRY("virtual machine's socket", socket(AF_VSOCK, SOCK_STREAM, 0));
	TRY("kernel's ciphers", socket(AF_ALG, SOCK_SEQPACKET, 0));
	TRY("listen", listen(0, 1) == 0 || errno == ENOTSOCK ? 0 : -1);
}
