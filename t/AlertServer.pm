# A web server on the loopback device that writes down what it gets and answers as it is told.  It ends
# with the test, however that ends: then its standard input does.
package AlertServer;
use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;

# Answers: ok, 500, 429 (try again in 5 minutes), echo (404 with the path in it), stall (none at all), hold
# (none before it is told another one).
my $program = <<'PY';
import json, os, socket, sys, threading, time
directory, port = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()
answers = {'ok': '200 OK', '500': '500 Internal Server Error', '429': '429 Too Many Requests', 'echo': '404 Not Found'}

def serve(conn):
    try:
        data = b''
        while b'\r\n\r\n' not in data:
            more = conn.recv(65536)
            if not more:
                return
            data += more
        head, body = data.split(b'\r\n\r\n', 1)
        lines = head.decode().split('\r\n')
        length = [int(l.split(':')[1]) for l in lines if l.lower().startswith('content-length:')]
        while length and len(body) < length[0]:
            body += conn.recv(65536)
        method, path = lines[0].split(' ')[:2]
        with open(directory + '/mode') as f:
            mode = f.read().strip()
        with lock, open(directory + '/requests', 'a') as f:
            f.write(json.dumps({'method': method, 'path': path, 'mode': mode, 'body': body.decode()}) + '\n')
        while mode == 'hold':
            time.sleep(0.05)
            with open(directory + '/mode') as f:
                mode = f.read().strip()
        if mode == 'stall':
            time.sleep(100000)
        text = 'cannot %s %s' % (method, path) if mode == 'echo' else 'all right' if mode == 'ok' else 'no'
        extra = 'Retry-After: 300\r\n' if mode == '429' else ''
        conn.sendall(('HTTP/1.1 %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s' % (answers[mode], len(text), extra, text)).encode())
    except OSError:
        pass
    finally:
        conn.close()

def watch():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=watch, daemon=True).start()
sock = socket.create_server(('127.0.0.1', port), backlog=50)
print(sock.getsockname()[1], flush=True)
while True:
    conn, _ = sock.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
PY

# A server that does not run yet.
sub new
{
	my ($class) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir(), port => 0, files => 0 }, $class;
	append_to_file("$self->{dir}/server.py", $program);
	append_to_file("$self->{dir}/requests", '');
	$self->answer('ok');
	return $self;
}

# Start it, after the first time on the same port as before.
sub start
{
	my ($self) = @_;
	my ($in, $out, $err) = ('', '', '');
	$self->{process} = IPC::Run::start([ 'python3', "$self->{dir}/server.py", $self->{dir}, $self->{port} ], '<', \$in, '>', \$out, '2>', \$err);
	$self->{process}->pump until $out =~ /\n/;
	chomp($self->{port} = $out);
	return;
}

sub stop
{
	my ($self) = @_;
	$self->{process}->kill_kill;
	return;
}

sub answer
{
	my ($self, $mode) = @_;
	unlink "$self->{dir}/mode.new";
	append_to_file("$self->{dir}/mode.new", $mode);
	rename "$self->{dir}/mode.new", "$self->{dir}/mode" or die $!;
	return;
}

# A file that holds a URL of the server, as the settings want it.
sub url_file
{
	my ($self, $path) = @_;
	my $file = "$self->{dir}/url" . ++$self->{files};
	append_to_file($file, "http://127.0.0.1:$self->{port}$path\n");
	chmod 0600, $file or die $!;
	return $file;
}

# What it got with that path, in order: method, mode in which it was answered, and body.
sub requests
{
	my ($self, $path) = @_;
	return grep { $_->{path} eq $path } map { decode_json($_) } split /\n/, slurp_file("$self->{dir}/requests");
}

1;
