# A server on the loopback device, in Python, which ends with the test, however that ends: then its standard
# input does.  Tests say what it answers.
package LoopbackServer;
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;

# What every server begins with: listen(answer) has a thread each call answer(conn, head, body) for what comes in,
# and stay() tells the test the ports.
my $beginning = <<'PY';
import json, os, socket, ssl, sys, threading, time

def read_request(conn):
    """Head and body of a request, or None where there is no whole head."""
    data = b''
    while b'\r\n\r\n' not in data:
        more = conn.recv(65536)
        if not more:
            return None
        data += more
        if data[0] == 0x16:  # TLS, where none is spoken
            conn.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
            return None
    head, body = data.split(b'\r\n\r\n', 1)
    head = head.decode('latin-1')
    length = [int(l.split(':')[1]) for l in head.split('\r\n') if l.lower().startswith('content-length:')]
    while length and len(body) < length[0]:
        more = conn.recv(65536)
        if not more:
            return None
        body += more
    return head, body

def listen(answer, context=None, port=0):
    """The port, which speaks TLS if there is a context."""
    def serve(conn):
        try:
            if context:
                conn = context.wrap_socket(conn, server_side=True)
            request = read_request(conn)
            if request:
                answer(conn, *request)
        except OSError:
            pass
        finally:
            conn.close()
    def accept():
        while True:
            conn, _ = sock.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()
    sock = socket.create_server(('127.0.0.1', port), backlog=50)
    threading.Thread(target=accept, daemon=True).start()
    return sock.getsockname()[1]

def stay(*ports):
    print(*ports, flush=True)
    sys.stdin.read()
    os._exit(0)

PY

# Run a program, which begins like that, from a directory; the process and the ports that it tells.
sub start
{
	my ($dir, $program, @arguments) = @_;
	my ($in, $out, $err) = ('', '', '');
	unlink "$dir/server.py";
	append_to_file("$dir/server.py", $beginning . $program);
	my $process = IPC::Run::start([ 'python3', "$dir/server.py", @arguments ], '<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
	$process->pump until $out =~ /\n/;
	return ($process, split ' ', $out);
}

1;
