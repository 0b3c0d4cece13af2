import { createHash, createHmac } from 'node:crypto';

/** What a verifier knows of a key. */
export interface Key {
  readonly id: string;
  readonly secret: string;
}

/** A request as it came in, taken apart. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/**
 * Takes a request of HTTP/1.1 from its bytes and tells whether its signature is right, as an AWS service does: written from the specification, and of
 * nothing that signs. `wrong`: one sentence; undefined when it is right.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function verifySigV4(
  bytes: Buffer,
  key: Key,
): { readonly request: RawRequest; readonly wrong: string | undefined } {
  const request = parse(bytes);
  return { request, wrong: wrongIn(request, key) };
}

/** Of the one field of that name. */
export function valueIn({ fields }: RawRequest, name: string): string | undefined {
  const found = fields.filter(([one]) => one.toLowerCase() === name);
  if (found.length > 1) throw new Error(`${name} is there twice`);
  return found[0]?.[1];
}

function wrongIn(request: RawRequest, key: Key): string | undefined {
  const authorization = valueIn(request, 'authorization') ?? '';
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (parts === null) return `no signature: ${authorization}`;
  const [, id, day = '', region = '', service = '', names = '', signature] = parts;
  if (id !== key.id) return 'another key';
  const date = valueIn(request, 'x-amz-date') ?? '';
  if (!/^\d{8}T\d{6}Z$/.test(date) || !date.startsWith(day)) return `the date is ${date}`;
  const listed = names.split(';');
  for (const [name] of request.fields)
    if (/^(host|x-amz-.*|content-type)$/i.test(name) && !listed.includes(name.toLowerCase()))
      return `${name} is not signed`;
  const said = valueIn(request, 'x-amz-content-sha256');
  const hashed = sha256(request.body);
  if (said !== undefined && said !== hashed && said !== 'UNSIGNED-PAYLOAD') return 'the body has another hash';
  const [path = '', ...query] = request.target.split('?');
  const canonical = [
    request.method,
    pathOf(path, service),
    queryOf(query.join('?')),
    ...listed.map((name) => `${name}:${valuesOf(request, name)}`),
    '',
    names,
    said ?? hashed,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', date, `${day}/${region}/${service}/aws4_request`, sha256(canonical)].join('\n');
  const derived = [day, region, service, 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${key.secret}`));
  return hmac(derived, toSign).toString('hex') === signature
    ? undefined
    : `another signature than that of\n${canonical}`;
}

function parse(bytes: Buffer): RawRequest {
  const end = bytes.indexOf('\r\n\r\n');
  const [line = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [method = '', target = ''] = line.split(' ');
  const fields = lines.map((one): [string, string] => {
    const cut = one.indexOf(':');
    return [one.slice(0, cut), one.slice(cut + 1)];
  });
  return { method, target, fields: fields.map(([name, value]) => [name, value.trim()]), body: bytes.subarray(end + 4) };
}

/** S3 takes a path as it is read; all others encode once more what came, which has neither dots nor empty segments then. */
function pathOf(path: string, service: string): string {
  if (service === 's3') return encoded(decoded(path)).replaceAll('%2F', '/');
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(encoded(segment));
  }
  return `/${kept.join('/')}${kept.length > 0 && path.endsWith('/') ? '/' : ''}`;
}

function queryOf(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair) => {
    const cut = pair.indexOf('=');
    const [name, value] = cut < 0 ? [pair, ''] : [pair.slice(0, cut), pair.slice(cut + 1)];
    return [encoded(decoded(name)), encoded(decoded(value))] as const;
  });
  pairs.sort(([a, av], [b, bv]) => order(a, b) || order(av, bv));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function valuesOf({ fields }: RawRequest, name: string): string {
  const values = fields.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
  return values.map((value) => value.trim().replace(/ +/g, ' ')).join(',');
}

function decoded(text: string): Buffer {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const digits = /^%([0-9a-fA-F]{2})/.exec(text.slice(at, at + 3))?.[1];
    if (digits !== undefined) at += 2;
    bytes.push(digits === undefined ? text.charCodeAt(at) : Number.parseInt(digits, 16));
  }
  return Buffer.from(bytes);
}

function encoded(what: Buffer | string): string {
  let text = '';
  for (const byte of Buffer.from(what)) {
    const sign = String.fromCharCode(byte);
    text += /[A-Za-z0-9_.~-]/.test(sign) ? sign : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function sha256(what: Buffer | string): string {
  return createHash('sha256').update(what).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
