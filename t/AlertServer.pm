# A web server on the loopback device that writes down what it gets and answers as it is told.
package AlertServer;
use strict;
use warnings;
use JSON::PP;
use LoopbackServer;
use PostgreSQL::Test::Utils;

# Answers: ok, 500, 429 (try again in 5 minutes), echo (404 with the path in it), stall (none at all), hold
# (none before it is told another one).
my $program = <<'PY';
directory, port = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()
answers = {'ok': '200 OK', '500': '500 Internal Server Error', '429': '429 Too Many Requests', 'echo': '404 Not Found'}

def read_mode():
    with open(directory + '/mode') as f:
        return f.read().strip()

def answer(conn, head, body):
    method, path = head.split(' ')[:2]
    mode = read_mode()
    with lock, open(directory + '/requests', 'a') as f:
        f.write(json.dumps({'method': method, 'path': path, 'mode': mode, 'body': body.decode()}) + '\n')
    while mode == 'hold':
        time.sleep(0.05)
        mode = read_mode()
    if mode == 'stall':
        time.sleep(100000)
    text = 'cannot %s %s' % (method, path) if mode == 'echo' else 'all right' if mode == 'ok' else 'no'
    extra = 'Retry-After: 300\r\n' if mode == '429' else ''
    conn.sendall(('HTTP/1.1 %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s' % (answers[mode], len(text), extra, text)).encode())

stay(listen(answer, port=port))
PY

# A server that does not run yet.
sub new
{
	my ($class) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir(), port => 0, files => 0 }, $class;
	append_to_file("$self->{dir}/requests", '');
	$self->answer('ok');
	return $self;
}

# Start it, after the first time on the same port as before.
sub start
{
	my ($self) = @_;
	($self->{process}, $self->{port}) = LoopbackServer::start($self->{dir}, $program, $self->{dir}, $self->{port});
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
