// Does every step with curl and prints one JSON object for each; curl's own arguments are what a user would type.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { HTTP_SOCKET: socket, TLS_DIR: dir, BASE, COUNTERSIGN_URL } = process.env;
const base = COUNTERSIGN_URL ?? BASE;
const folder = mkdtempSync(join(tmpdir(), 'curl-steps-'));
const big = join(folder, 'big');
writeFileSync(big, Buffer.alloc(3_000_000, 'countersign '));
const way = [
  ...['-sS', '--http1.1', '--noproxy', '*', ...(socket ? ['--unix-socket', socket] : [])],
  ...(dir
    ? [
        ...['--cert', `${dir}/svid.pem`, '--key', `${dir}/key.pem`, '--cacert', `${dir}/bundle.pem`],
        ...['--resolve', `${new URL(base).host}:127.0.0.1`],
      ]
    : []),
];

function curl(...args) {
  const { status, stdout, stderr } = spawnSync('curl', [...way, ...args], { maxBuffer: 1e8 });
  return { status, stderr: stderr.toString(), stdout };
}

const FIELDS = ['content-type', 'content-length', 'etag', 'x-own'];
function seen(path, args = [], names = FIELDS) {
  const told = `\n%{http_code}${names.map((name) => `\n%header{${name}}`).join('')}`;
  const { status, stdout, stderr } = curl('-w', told, ...args, base + path);
  if (status !== 0) return [`curl ended with ${status}: ${stderr}`];
  const lines = names.length + 1;
  let at = stdout.length;
  for (let count = 0; count < lines; count++) at = stdout.lastIndexOf('\n', at - 1);
  const body = stdout.subarray(0, at);
  const shown = body.length > 200 ? createHash('sha256').update(body).digest('hex').slice(0, 16) : body.toString();
  return [
    ...stdout
      .subarray(at + 1)
      .toString()
      .split('\n'),
    shown,
  ];
}

const many = (count, path) => Array.from({ length: count }, (_, at) => base + path(at));
const STEPS = {
  get: () => seen('/v1/item'),
  head: () => seen('/v1/item', ['-I', '-o', '/dev/null']),
  post: () => seen('/v1/echo', ['--json', '{"name":"ünï","n":[1,2]}']),
  upload: () => seen('/v1/echo', ['-T', big, '-H', 'Expect:']),
  continue: () => seen('/v1/echo', ['-T', big, '-H', 'Expect: 100-continue', '--expect100-timeout', '30']),
  chunked: () => seen('/v1/echo', ['-X', 'POST', '-T', big, '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:']),
  download: () => seen('/v1/files/big.bin'),
  gzip: () => seen('/v1/zipped', ['--compressed'], ['content-type', 'content-encoding']),
  redirect: () => seen('/v1/moved', ['-L']),
  moved: () => seen('/v1/moved', [], ['location']),
  cookies: () => seen('/v1/cookie', ['-c', join(folder, 'jar'), '-b', 'visit=41'], ['set-cookie']),
  range: () => seen('/v1/files/big.bin', ['-r', '10-19'], ['content-range']),
  conditional: () => {
    seen('/v1/files/small.txt', ['--etag-save', join(folder, 'tag'), '-o', join(folder, 'small'), '-R']);
    const wants = ['--etag-compare', join(folder, 'tag'), '-z', join(folder, 'small')];
    return seen('/v1/files/small.txt', wants, ['content-range']);
  },
  reuse: () => {
    const { stdout } = curl('-w', '\n%{num_connects}\n', ...many(200, () => '/v1/item'));
    const lines = stdout.toString().trim().split('\n');
    const connects = lines.filter((line) => /^\d+$/.test(line)).reduce((sum, line) => sum + Number(line), 0);
    return [connects, ...new Set(lines.filter((line) => line.startsWith('{')))];
  },
  concurrent: () => {
    const { stdout } = curl('-Z', '--parallel-max', '20', '-w', '\n', ...many(20, (at) => `/v1/number/${at}`));
    // Several answers at once: whose line is whose, curl does not say.
    return stdout
      .toString()
      .match(/\{[^}]*\}/g)
      ?.toSorted();
  },
  cancel: () => [curl('-N', '-m', '0.5', `${base}/v1/hang`).stdout.toString(), 'cancelled', ...seen('/v1/item')],
  timeout: () => [curl('-m', '0.3', `${base}/v1/silent`).status],
  cut: () => [curl('-o', '/dev/null', `${base}/v1/cut`).status],
  sse: () => seen('/v1/events', ['-N'], ['content-type']),
  failure: () => seen('/v1/failure'),
  denied: () => {
    const { stdout } = curl('-X', 'DELETE', '-w', '\n%{http_code}\n%{content_type}', `${base}/v1/item`);
    const [body, , status, type] = stdout.toString().split('\n');
    return [Number(status), type, JSON.parse(body).reason];
  },
  masked: () => {
    const [status, type, body] = seen('/v1/person', [], ['content-type']);
    return [Number(status), type, body];
  },
};
for (const step of process.env.STEPS.split(',')) console.log(JSON.stringify({ step, value: STEPS[step]() }));
rmSync(folder, { recursive: true });
