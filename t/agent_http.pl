# fetch and post against servers on the loopback device: what is done, and what is refused.
use strict;
use warnings;
use AgentTest;
use IO::Socket::INET;
use IO::Select;
use IPC::Run;
use JSON::PP;
use LoopbackServer;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my $json = JSON::PP->new->canonical->allow_nonref;

# Run a command of the agent; its exit status, its document, and all it printed.
sub agent
{
	my ($command, $request) = @_;
	my ($out, $err);
	# a file, not a pipe: the agent may stop reading before the end
	write_file("$dir/request", ref $request ? $json->utf8->encode($request) : $request);
	IPC::Run::run([$agent, $command, '--format', 'json'], '<', "$dir/request", '>', \$out, '2>', \$err);
	my $status = $? >> 8;
	return ($status, decode_json($out), "$out$err");
}

# A certificate authority, and certificates for the server.
sub openssl
{
	my (@arguments) = @_;
	my $log;
	IPC::Run::run(['openssl', @arguments], '>', \$log, '2>&1') or die "openssl @arguments: $log";
	return;
}
sub authority
{
	my ($name) = @_;
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', "/CN=$name", '-days', '2',
		'-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', "$dir/$name.key", '-out', "$dir/$name.crt");
	return;
}
sub certificate
{
	my ($name, $subject, @dates) = @_;
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=test',
		'-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
	mkdir "$dir/$name.ca" or die $!;
	write_file("$dir/$name.ca/index.txt", '');
	write_file("$dir/$name.ca/serial", "01\n");
	write_file("$dir/$name.cnf", <<"CNF");
[ca]
default_ca = x
[x]
database = $dir/$name.ca/index.txt
serial = $dir/$name.ca/serial
new_certs_dir = $dir/$name.ca
default_md = sha256
policy = p
[p]
commonName = supplied
[ext]
subjectAltName = $subject
CNF
	openssl('ca', '-batch', '-notext', '-config', "$dir/$name.cnf", '-extensions', 'ext', '-cert', "$dir/ca.crt", '-keyfile', "$dir/ca.key",
		'-in', "$dir/$name.csr", '-out', "$dir/$name.crt", @dates);
	return;
}
authority('ca');
authority('other');
certificate('good', 'DNS:localhost,IP:127.0.0.1', '-days', '1');
certificate('name', 'DNS:elsewhere.example', '-days', '1');
certificate('old', 'DNS:localhost,IP:127.0.0.1', '-startdate', '20200101000000Z', '-enddate', '20200102000000Z');
certificate('young', 'DNS:localhost,IP:127.0.0.1', '-startdate', '20900101000000Z', '-enddate', '20910101000000Z');

# One server process with a port for each certificate and one without TLS; prints the ports.  A path says how to answer.
my $program = <<'PY';
os.chdir(sys.argv[1])

def answer(conn, head, body):
    path = head.split(' ')[1].split('?')[0]
    def reply(status, text=b'', *headers):
        lines = ['HTTP/1.1 %s' % status, 'Content-Length: %d' % len(text), 'Connection: close', *headers]
        conn.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + text)
    if path == '/echo':
        reply('200 OK', json.dumps({'head': head, 'body': body.decode('latin-1')}).encode())
    elif path == '/bytes':
        reply('200 OK', b'\xff\xfe')
    elif path == '/nul':
        reply('200 OK', b'a\0b')
    elif path == '/utf8':
        reply('200 OK', 'caf\u00e9 "x"\n\x01'.encode())
    elif path == '/500':
        reply('500 Internal Server Error', b'no')
    elif path == '/429':
        reply('429 Too Many Requests', b'', 'Retry-After: 17')
    elif path == '/204':
        conn.sendall(b'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    elif path == '/redirect':
        reply('302 Found', b'', 'Location: file:///etc/passwd')
    elif path == '/redirect-home':
        reply('301 Moved', b'', 'Location: /echo')
    elif path == '/endless':
        conn.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
        while True:
            conn.sendall(b'x' * 65536)
    elif path == '/chunks':
        conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        while True:
            conn.sendall(b'4000\r\n' + b'x' * 0x4000 + b'\r\n')
    elif path == '/headers':
        conn.sendall(b'HTTP/1.1 200 OK\r\n')
        while True:
            conn.sendall(b'X-Y: ' + b'z' * 4000 + b'\r\n')
    elif path == '/stall':
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx')
        time.sleep(100000)
    elif path == '/drip':
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
        while True:
            conn.sendall(b'x')
            time.sleep(0.05)
    elif path == '/cut':
        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx')
    elif path == '/reset':
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    elif path == '/nothing':
        pass
    elif path == '/noise':
        conn.sendall(b'\x16\x03garbage\r\n\r\n')
    elif path == '/gzip':
        reply('200 OK', b'\x1f\x8b\x08\0', 'Content-Encoding: gzip')

def tls(name, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(name + '.crt', name + '.key')
    if version:
        context.set_ciphers('ALL:@SECLEVEL=0')
        context.minimum_version = version
        context.maximum_version = version
    return context

ports = [listen(answer, tls(n)) for n in ('good', 'name', 'old', 'young', 'other')]
ports.append(listen(answer, tls('good', ssl.TLSVersion.TLSv1_1)))
ports.append(listen(answer))
mute = socket.create_server(('127.0.0.1', 0))
stay(*ports, mute.getsockname()[1])
PY
my ($server, $good, $name, $old, $young, $self, $tls11, $plain, $mute) = LoopbackServer::start($dir, $program, $dir);
my $ca = "$dir/ca.crt";

# Expect a result; "code" is error's code or the status.
sub request_is
{
	my ($command, $request, $expected, $message, $title) = @_;
	my ($status, $document) = agent($command, $request);
	my $code = $document->{result} eq 'error' ? $document->{error}{code} : $document->{http_status};
	is("$status $document->{result} $code", $expected, $title);
	like($document->{error}{message} // $document->{detail}, $message, "$title: message") if $message;
	return $document;
}
sub fetch_is
{
	my ($path, @rest) = @_;
	return request_is('fetch', { url => "https://localhost:$good$path", ca_file => $ca }, @rest);
}

# What works.
my $document = fetch_is('/echo?secret=1', '0 success 200', qr/^https:\/\/localhost:$good answered with status 200\.$/, 'fetch');
my $echo = decode_json($document->{body});
is($document->{body_bytes}, length $document->{body}, 'size');
like($echo->{head}, qr/^GET \/echo\?secret=1 HTTP\/1\.1\r\nHost: localhost:$good\r\nUser-Agent: voxanne_agent\/[\d.]+\r\nAccept: \*\/\*\z/, 'what is sent');
is($document->{sandbox}{seccomp}, JSON::PP::true, 'in the sandbox') if `uname -m` =~ /^(x86_64|aarch64)$/;
$document = request_is('post', { url => "https://127.0.0.1:$good/echo", ca_file => $ca, body => "{\"a\": \"\x{e9}\"}", headers => { 'X-Token' => 'abc', Authorization => 'Bearer xyz' } },
	'0 success 200', undef, 'post');
$echo = decode_json($document->{body});
like($echo->{head}, qr/^POST \/echo HTTP\/1\.1\r\n(?=.*\r\nContent-Type: application\/json(\r\n|\z))(?=.*\r\nX-Token: abc(\r\n|\z))(?=.*\r\nAuthorization: Bearer xyz(\r\n|\z))(?!.*Expect)/s, 'headers');
is($echo->{body}, "{\"a\": \"\xc3\xa9\"}", 'body in UTF-8');
$document = request_is('post', { url => "https://localhost:$good/echo", ca_file => $ca, body => 'x' x 3_000_000, content_type => 'text/plain', max_bytes => 4_000_000 }, '0 success 200', undef, 'post a lot');
is(length decode_json($document->{body})->{body}, 3_000_000, 'all of it');
is(request_is('post', { url => "https://localhost:$good/204", ca_file => $ca }, '0 success 204', undef, 'no content')->{body}, '', 'an empty body is text');
is(fetch_is('/utf8', '0 success 200', undef, 'UTF-8')->{body}, "caf\x{e9} \"x\"\n\x01", 'body');
for my $path ('/bytes', '/nul', '/gzip')
{
	$document = fetch_is($path, '0 success 200', undef, "$path");
	is($document->{body}, undef, 'body that is no text');
	cmp_ok($document->{body_bytes}, '>', 0, 'has a size');
}
my $file = write_file("$dir/url", "https://localhost:$good/echo\n", 0600);
request_is('fetch', { url_file => $file, ca_file => $ca }, '0 success 200', undef, 'URL from a file');
write_file($file, "https://localhost:$good/utf8?token=abcdefgh", 0600);
like(request_is('fetch', { url_file => $file, ca_file => $ca }, '0 success 200', undef, 'an answer')->{body}, qr/caf/, 'is shown');
for my $path ('/echo', '/echo?token=abcdefgh')
{
	write_file($file, "https://localhost:$good$path", 0600);
	my $echoed = request_is('fetch', { url_file => $file, ca_file => $ca }, '0 success 200', undef, "an answer that repeats $path");
	is($echoed->{body}, undef, 'is not, as that is a secret');
	cmp_ok($echoed->{body_bytes}, '>', 0, 'but its size');
}
write_file($file, "https://localhost:$good/echo\n", 0600);
request_is('fetch', { url => "http://127.0.0.1:$plain/echo", allow_http => JSON::PP::true }, '0 success 200', undef, 'http, where it is allowed');

# Answers that are failures.
is(fetch_is('/500', '1 failure 500', qr/status 500\.$/, 'status 500')->{body}, 'no', 'with its body');
is(fetch_is('/429', '1 failure 429', undef, 'status 429')->{retry_after_seconds}, 17, 'Retry-After');
fetch_is('/redirect', '1 failure 302', qr/status 302, a redirect, and those are not followed\.$/, 'a redirect to a file');
fetch_is('/redirect-home', '1 failure 301', qr/not followed/, 'a redirect to the same host');

# TLS.
request_is('fetch', { url => "https://localhost:$good/echo" }, '3 error tls', qr/certificate could not be verified/, 'an authority that the system does not know');
request_is('fetch', { url => "https://localhost:$good/echo", ca_file => "$dir/other.crt" }, '3 error tls', qr/certificate could not be verified/, 'another authority');
request_is('fetch', { url => "https://localhost:$name/echo", ca_file => $ca }, '3 error tls', undef, 'another name');
request_is('fetch', { url => "https://localhost:$old/echo", ca_file => $ca }, '3 error tls', qr/expired/, 'expired');
request_is('fetch', { url => "https://localhost:$tls11/echo", ca_file => $ca }, '3 error tls', undef, 'TLS 1.1');
request_is('fetch', { url => "https://localhost:$young/echo", ca_file => $ca }, '3 error tls', qr/not yet valid|not trusted|verified/, 'not valid yet');
request_is('fetch', { url => "https://localhost:$self/echo", ca_file => $ca }, '3 error tls', qr/verified|self.signed/, 'signed by itself');
request_is('fetch', { url => "https://localhost:$plain/echo", ca_file => $ca }, '3 error tls', undef, 'no TLS');
request_is('fetch', { url => "https://localhost:$good/echo", ca_file => "$dir/none" }, '3 error tls', undef, 'no such file of authorities');

# Size and time.
my $began = time;
for my $path ('/endless', '/chunks', '/headers')
{
	request_is('fetch', { url => "https://localhost:$good$path", ca_file => $ca, max_bytes => 1000 }, '3 error too_large', qr/longer than allowed/, $path);
}
request_is('fetch', { url => "https://localhost:$good/500", ca_file => $ca, max_bytes => 2 }, '1 failure 500', undef, 'just within the limit');
request_is('fetch', { url => "https://localhost:$good/500", ca_file => $ca, max_bytes => 1 }, '3 error too_large', undef, 'one byte beyond');
for my $path ('/stall', '/drip')
{
	request_is('fetch', { url => "https://localhost:$good$path", ca_file => $ca, timeout_ms => 700 }, '3 error timeout', qr/did not answer in time/, $path);
}
request_is('fetch', { url => "https://localhost:$mute/", ca_file => $ca, connect_timeout_ms => 500 }, '3 error timeout', undef, 'nobody accepts');
cmp_ok(time - $began, '<', 60, 'none of them took long');

# Broken connections.
fetch_is('/cut', '3 error transfer', qr/broke off/, 'cut');
fetch_is('/reset', '3 error transfer', undef, 'reset');
# which of the two depends on libcurl
fetch_is('/nothing', '3 error transfer', qr/without an answer|broke off/, 'nothing');
fetch_is('/noise', '3 error transfer', undef, 'noise');
my $closed = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp', Listen => 1)->sockport;
request_is('fetch', { url => "https://127.0.0.1:$closed/" }, '3 error connect', undef, 'nobody listens');
request_is('fetch', { url => 'https://no-such-host.invalid/' }, '3 error dns', undef, 'no such name');

# URLs that are refused, and that nothing of them is repeated.
for my $case (
	["http://127.0.0.1:$plain/secret", 'http_not_allowed'], ['ftp://localhost/secret', 'bad_url'], ['file:///secret', 'bad_url'],
	['https://user:secret@localhost/', 'user_info'], ['https://secret@localhost/', 'user_info'], ['secret', 'bad_url'], ['', 'bad_url'],
	["https://localhost/\nsecret", 'bad_url'], ['https://localhost:99999/secret', 'bad_url'],
	['https://169.254.169.254/secret', 'address_refused'], ['https://[fe80::1]/secret', 'address_refused'], ['https://[::ffff:169.254.169.254]/secret', 'address_refused'],
	['https://[fd00:ec2::254]/secret', 'address_refused'], ['https://0xa9.0xfe.0xa9.0xfe/secret', 'address_refused'], ['https://2852039166/secret', 'address_refused'],
	["https://127.0.0.1:$closed/secret?secret#secret", 'connect'], ["https://localhost:$good/secret", 'tls'])
{
	my ($status, $answer, $text) = agent('fetch', { url => $case->[0] });
	is("$status $answer->{error}{code}", "3 $case->[1]", "refused: $case->[0]");
	unlike($text, qr/secret/, 'and not repeated');
}
my ($status, $answer, $text) = agent('post', { url => "https://localhost:$good/nothing?secret", ca_file => $ca, body => 'secret', headers => { 'X-Y' => 'secret' } });
is("$status $answer->{error}{code}", '3 transfer', 'a failed post');
unlike($text, qr/secret/, 'repeats nothing of it');

# Files with a URL.
chmod 0640, $file;
request_is('fetch', { url_file => $file }, '3 error url_file', qr/others than its owner have rights on it/, 'readable for the group');
chmod 0604, $file;
request_is('fetch', { url_file => $file }, '3 error url_file', qr/others than its owner have rights on it/, 'readable for others');
request_is('fetch', { url_file => "$dir/none" }, '3 error url_file', qr/no such file/, 'missing');
request_is('fetch', { url_file => $dir }, '3 error url_file', qr/not a regular file/, 'a directory');
request_is('fetch', { url_file => '/dev/zero' }, '3 error url_file', qr/not a regular file/, 'a device');
for my $case (["a\nb\n", qr/more than one line/], ['', qr/empty/], ["\n \n", qr/empty/], ['https://localhost/' . 'x' x 9000, qr/too long/], ["https://a\0b", qr/zero byte/])
{
	write_file($file, $case->[0], 0600);
	request_is('fetch', { url_file => $file }, '3 error url_file', $case->[1], 'contents: ' . substr($case->[0] =~ s/\W+/ /gr, 0, 20));
}

# Requests.
my $url = "https://localhost:$good/echo";
for my $case (
	['', qr/line 1: it is not an object/], ['[]', qr/it is not an object/], ['{"url": "x"', qr/expected a comma/], ['{"url": "x"} {}', qr/something follows its end/],
	['{}', qr/one of "url" and "url_file"/], ["{\"url\": \"$url\", \"url_file\": \"x\"}", qr/one of "url" and "url_file"/], ["{\"url\": \"$url\", \"proxy\": \"x\"}", qr/unknown member/],
	["{\"url\": \"$url\", \"url\": \"$url\"}", qr/a member twice/], ['{"url": 1}', qr/must be a string/], ["{\"url\": \"$url\", \"timeout_ms\": -1}", qr/out of range/],
	["{\"url\": \"$url\", \"timeout_ms\": 1e3}", qr/out of range/], ["{\"url\": \"$url\", \"timeout_ms\": 01}", qr/invalid number/], ["{\"url\": \"$url\", \"max_bytes\": 99999999999}", qr/out of range/],
	["{\"url\": \"$url\", \"allow_http\": 1}", qr/true or false/], ["{\"url\": \"$url\", \"headers\": {\"Host\": \"x\"}}", qr/name that is not allowed/], ["{\"url\": \"$url\", \"headers\": {\"A B\": \"x\"}}", qr/name that is not allowed/],
	["{\"url\": \"$url\", \"headers\": {\"A\": \"x\\r\\nB: y\"}}", qr/control character/], ["{\"url\": \"$url\", \"headers\": {\"A\": {}}}", qr/a header is not a string/],
	["{\"url\": \"$url\", \"content_type\": \"x\\ny\"}", qr/control character/], ["{\"url\": \"\\u0000\"}", qr/escape/], ["{\"url\": \"\xff\"}", qr/UTF-8/], ["{\"url\": \"\\ud800\"}", qr/escape/],
	["{\"url\": \"a\nb\"}", qr/control character/], ['{"url": "x", ' . ' ' x 9_000_000, qr/longer than allowed/], ['{"url": "' . 'x' x 5_000_000 . '"}', qr/a text is too long/],
	['{"a":' x 100_000, qr/unknown member/], ["{\"url\": \"$url\", \"body\": \"x\"}", undef])
{
	my ($code, $refusal) = agent('fetch', $case->[0]);
	is("$code $refusal->{error}{code}", '3 bad_request', 'request ' . substr($case->[0], 0, 60));
	like($refusal->{error}{message}, $case->[1], 'why') if $case->[1];
}

$server->kill_kill;
done_testing();
