# Object stores on the loopback device: plain HTTP objects, a bucket that checks signatures by itself, and
# Supabase's Management API; honest ones and others.
package BackupServer;
use strict;
use warnings;
use IPC::Run;
use LoopbackServer;
use PostgreSQL::Test::Utils;

my $program = <<'PY';
import base64, hashlib, hmac, urllib.parse
from xml.sax.saxutils import escape
directory, certificate = sys.argv[1], sys.argv[2:4]
lock = threading.Lock()
counts = {}
DATE = 'Wed, 28 Jan 2026 03:00:00 GMT'
ACCESS, SECRET = 'AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'

def signature(method, target, headers):
    """What the request should have been signed with, from what came over the wire."""
    auth = headers.get('authorization', '')
    fields = dict(f.strip().split('=', 1) for f in auth.split(' ', 1)[1].split(','))
    access, date, region, service, _ = fields['Credential'].split('/')
    names = fields['SignedHeaders'].split(';')
    path, _, query = target.partition('?')
    path = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe='/-_.~')
    pairs = []
    for pair in query.split('&') if query else []:
        name, _, value = pair.partition('=')
        pairs.append('%s=%s' % tuple(urllib.parse.quote(urllib.parse.unquote_to_bytes(x), safe='-_.~') for x in (name, value)))
    canonical = '\n'.join([method, path, '&'.join(sorted(pairs))] + ['%s:%s' % (n, headers[n].strip()) for n in names] +
                          ['', ';'.join(names), headers['x-amz-content-sha256']])
    scope = '/'.join([date, region, service, 'aws4_request'])
    text = '\n'.join(['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ('AWS4' + SECRET).encode()
    for part in (date, region, service, 'aws4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    good = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return access == ACCESS and region == 'eu-test-1' and headers['x-amz-date'].startswith(date) and 'host' in names and \
        all(n in names for n in headers if n.startswith('x-amz-')) and hmac.compare_digest(good, fields['Signature'])

with open(directory + '/objects.json') as f:
    objects = json.load(f)

def listing(query):
    """One page, two keys each."""
    prefix, token = query.get('prefix', ''), query.get('continuation-token')
    keys = sorted(k for k in objects if k.startswith(prefix))
    start = int(base64.b64decode(token)) if token else 0
    page, more = keys[start:start + 2], len(keys) > start + 2
    body = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
    body += '<IsTruncated>%s</IsTruncated>' % ('true' if more else 'false')
    if more:
        body += '<NextContinuationToken>%s</NextContinuationToken>' % escape(base64.b64encode(b'%04d' % (start + 2)).decode())
    for k in page:
        body += '<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%d</Size><Owner><ID>x</ID></Owner></Contents>' % (
            escape(k), objects[k][0], hashlib.md5(objects[k][1].encode()).hexdigest(), len(objects[k][1].encode()))
    return (body + '<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>').encode()

PAGES = {'garbage': b'<html>no</html>', 'cut': b'<ListBucketResult><Contents><Key>a', 'doctype': b'<!DOCTYPE a [<!ENTITY x "y">]><ListBucketResult></ListBucketResult>',
         'entity': b'<ListBucketResult><Contents><Key>&x;</Key></Contents></ListBucketResult>', 'noname': b'<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>',
         'loop': b'<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>', 'zero': b'<ListBucketResult>\0</ListBucketResult>',
         'empty': b'<ListBucketResult></ListBucketResult>', 'big': b'<ListBucketResult>' + b' ' * (5 << 20) + b'</ListBucketResult>'}
with open(directory + '/projects.json') as f:
    projects = json.load(f)

def reply(conn, method, status, body=b'', *headers, length=None):
    lines = ['HTTP/1.1 %s' % status, 'Content-Length: %d' % (len(body) if length is None else length), 'Connection: close', *headers]
    conn.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + (b'' if method == 'HEAD' else body))

def answer(conn, head, body):
    lines = head.split('\r\n')
    method, target = lines[0].split(' ')[:2]
    headers = {l.split(':', 1)[0].lower(): l.split(':', 1)[1].strip() for l in lines[1:]}
    with lock, open(directory + '/requests', 'a') as f:
        f.write('%s %s\n' % (method, target))
    path = target.partition('?')[0]
    first, _, rest = path[1:].partition('/')
    with lock:
        counts[path] = counts.get(path, 0) + 1
        count = counts[path]
    if first == 'good':
        with open(directory + '/body', 'rb') as f:
            body = f.read()
        reply(conn, method, '200 OK', body, 'Last-Modified: ' + DATE, 'ETag: "one"')
    elif first == 'secret':
        ok = headers.get('authorization') == 'Basic T0PS3CRET'
        reply(conn, method, '200 OK' if ok else '401 Unauthorized', b'0123456789', 'Last-Modified: ' + DATE)
    elif first == 'status':
        reply(conn, method, rest + ' Whatever', b'', *(['Retry-After: 3600'] if rest == '429' else []), *(['Location: /good/x'] if rest == '302' else []))
    elif first == 'flaky':
        reply(conn, method, '503 Busy' if count < 3 else '200 OK', b'0123456789', 'Last-Modified: ' + DATE)
    elif first == 'nodate':
        reply(conn, method, '200 OK', b'0123456789')
    elif first == 'future':
        reply(conn, method, '200 OK', b'0123456789', 'Last-Modified: Wed, 28 Jan 2099 03:00:00 GMT')
    elif first == 'empty':
        reply(conn, method, '200 OK', b'', 'Last-Modified: ' + DATE)
    elif first == 'short':
        reply(conn, method, '200 OK', b'01234', 'Last-Modified: ' + DATE, length=10)
    elif first == 'differs':
        reply(conn, method, '200 OK', b'0123456789' + (b'' if method == 'HEAD' else b'01'), 'Last-Modified: ' + DATE)
    elif first == 'shrinks':
        reply(conn, method, '200 OK', b'0123456789'[:10 if method == 'HEAD' else 8], 'Last-Modified: ' + DATE)
    elif first == 'endless':
        if method == 'HEAD':
            return conn.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n')
        conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        while True:
            conn.sendall(b'4000\r\n' + b'x' * 0x4000 + b'\r\n')
    elif first == 'stall':
        if method == 'GET' or rest == 'head':
            if method == 'GET':
                conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx')
            time.sleep(100000)
        reply(conn, method, '200 OK', b'0123456789', 'Last-Modified: ' + DATE)
    elif first == 'gone':
        reply(conn, method, '200 OK' if method == 'HEAD' else '404 Gone', b'0123456789', 'Last-Modified: ' + DATE)
    elif first == 'die':
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    elif first == 'v1':
        name = rest.split('/')[1]
        if headers.get('authorization') != 'Bearer sbp_T0PS3CRET':
            reply(conn, method, '401 Unauthorized', b'{"message":"Unauthorized"}')
        elif not rest.endswith('/database/backups') or name not in projects:
            reply(conn, method, '404 Not Found', b'{}')
        else:
            reply(conn, method, '200 OK', projects[name].encode(), 'Content-Type: application/json')
    elif first.startswith('page-'):
        reply(conn, method, '200 OK', PAGES[first[5:]])
    elif first in ('bucket', 'b%20c'):
        key = urllib.parse.unquote(rest)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(target.partition('?')[2], keep_blank_values=True).items()}
        if not signature(method, target, headers):
            reply(conn, method, '403 Forbidden', b'<Error><Code>SignatureDoesNotMatch</Code></Error>')
        elif method == 'GET' and not rest:
            reply(conn, method, '200 OK', listing(query))
        elif key in objects:
            date, body, more = objects[key][0], objects[key][1].encode(), objects[key][2]
            reply(conn, method, '200 OK', body, 'ETag: "%s"' % hashlib.md5(body).hexdigest(), *more)
        else:
            reply(conn, method, '404 Not Found')
    else:
        reply(conn, method, '404 Not Found')

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*certificate)
stay(listen(answer), listen(answer, context))
PY

# Start it with what it is to serve, as JSON texts; has "plain" and "tls", the beginnings of its URLs, and "ca", a file.
sub new
{
	my ($class, $objects, $projects) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $self = bless { dir => $dir, ca => "$dir/ca.crt" }, $class;
	my ($log, $plain, $tls);
	IPC::Run::run([ 'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost', '-days', '2',
			'-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', "$dir/ca.key", '-out', "$dir/ca.crt" ], '>', \$log, '2>&1') or die $log;
	append_to_file("$dir/objects.json", $objects);
	append_to_file("$dir/projects.json", $projects);
	append_to_file("$dir/requests", '');
	($self->{process}, $plain, $tls) = LoopbackServer::start($dir, $program, $dir, "$dir/ca.crt", "$dir/ca.key");
	$self->{plain} = "http://127.0.0.1:$plain";
	$self->{tls}   = "https://localhost:$tls";
	return $self;
}

# A file of mode 0600.
sub secret
{
	my ($self, $name, $text) = @_;
	my $file = "$self->{dir}/$name";
	unlink $file;
	append_to_file($file, $text);
	chmod 0600, $file or die $!;
	return $file;
}

# What the object at /good/ holds from now on.
sub body
{
	my ($self, $text) = @_;
	unlink "$self->{dir}/body";
	append_to_file("$self->{dir}/body", $text);
	return;
}

sub requests
{
	my ($self) = @_;
	return split /\n/, slurp_file("$self->{dir}/requests");
}

sub stop
{
	my ($self) = @_;
	$self->{process}->kill_kill;
	return;
}

1;
