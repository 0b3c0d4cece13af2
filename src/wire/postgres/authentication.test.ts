import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSeededRandom, Secret } from '../../std/index.ts';
import { createAuthentication } from './index.ts';

// That a real server accepts these exchanges is shown where sockets are, in the gateway's `upstream.test.ts`.
function create(options: { serverEndPoint?: Buffer; encrypted?: boolean; password?: string | undefined } = {}) {
  const password = 'password' in options ? options.password : 'pencil';
  return createAuthentication({
    user: 'user',
    password: password === undefined ? undefined : Secret.fromText(password),
    random: createSeededRandom('nonce'),
    encrypted: options.encrypted ?? true,
    serverEndPoint: options.serverEndPoint,
  });
}

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** The server half of RFC 5802, written apart from the client's. */
function server(first: Buffer, options: { iterations?: number; nonce?: (client: string) => string } = {}) {
  const text = first.toString('latin1');
  const bare = text.slice(text.indexOf('n=,r='), text.length);
  const nonce = (options.nonce ?? ((client: string) => `${client}srv`))(bare.slice(5));
  const salt = Buffer.from('salt');
  const iterations = options.iterations ?? 4096;
  const challenge = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
  return {
    challenge: Buffer.from(challenge),
    final(response: Buffer) {
      const message = response.subarray(5).toString('latin1');
      const [withoutProof = '', proof = ''] = message.split(',p=');
      const salted = pbkdf2Sync('pencil', salt, iterations, 32, 'sha256');
      const auth = `${bare},${challenge},${withoutProof}`;
      const clientKey = hmac(salted, 'Client Key');
      const signature = hmac(createHash('sha256').update(clientKey).digest(), auth);
      const expected = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
      return {
        accepted: expected.equals(Buffer.from(proof, 'base64')),
        data: Buffer.from(`v=${hmac(hmac(salted, 'Server Key'), auth).toString('base64')}`),
      };
    },
  };
}

describe('SCRAM-SHA-256', () => {
  test.each([
    [['SCRAM-SHA-256'], undefined, 'SCRAM-SHA-256\0', 'n,,'],
    [['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'], undefined, 'SCRAM-SHA-256\0', 'n,,'],
    [['SCRAM-SHA-256'], Buffer.alloc(32), 'SCRAM-SHA-256\0', 'y,,'],
    [['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'], Buffer.alloc(32), 'SCRAM-SHA-256-PLUS\0', 'p=tls-server-end-point,,'],
  ])('of %j is done and proven on both sides', (mechanisms, serverEndPoint, mechanism, header) => {
    const client = create(serverEndPoint === undefined ? {} : { serverEndPoint });
    const first = client.answer({ kind: 'sasl', mechanisms }) ?? Buffer.alloc(0);
    expect(first.toString('latin1', 5)).toContain(mechanism);
    expect(first.toString('latin1')).toContain(header);
    const half = server(first);
    const verdict = half.final(client.answer({ kind: 'sasl-continue', data: half.challenge }) ?? Buffer.alloc(0));
    expect(verdict.accepted).toBe(true);
    client.answer({ kind: 'sasl-final', data: verdict.data });
    expect(client.done).toBe(false);
    client.answer({ kind: 'ok' });
    expect(client.done).toBe(true);
  });

  test('is not believed to a server that does not prove itself', () => {
    const begin = () => {
      const client = create();
      const half = server(client.answer({ kind: 'sasl', mechanisms: ['SCRAM-SHA-256'] }) ?? Buffer.alloc(0));
      client.answer({ kind: 'sasl-continue', data: half.challenge });
      return client;
    };
    expect(() => begin().answer({ kind: 'ok' })).toThrow(/did not prove/);
    expect(() => begin().answer({ kind: 'sasl-final', data: Buffer.from('v=AAAA') })).toThrow(/did not prove/);
    expect(() => begin().answer({ kind: 'sasl-final', data: Buffer.from('e=other-error') })).toThrow(/did not prove/);
    expect(() => begin().answer({ kind: 'sasl-continue', data: Buffer.from('r=x,s=x,i=4096') })).toThrow(/repeats/);
  });

  test.each([
    ['a nonce that is not ours', { nonce: () => 'theirs' }],
    ['a nonce without the server’s part', { nonce: (client: string) => client }],
    ['too few iterations', { iterations: 1 }],
    ['so many iterations that they would stop the gateway', { iterations: 10_000_000 }],
  ])('refuses %s', (_, options) => {
    const client = create();
    const half = server(client.answer({ kind: 'sasl', mechanisms: ['SCRAM-SHA-256'] }) ?? Buffer.alloc(0), options);
    expect(() => client.answer({ kind: 'sasl-continue', data: half.challenge })).toThrow(
      expect.objectContaining({ code: 'ERR_PG_AUTHENTICATION' }),
    );
  });
});

describe('other methods', () => {
  test('md5 and cleartext are answered over encrypted connections only', () => {
    const salt = Buffer.from('0a1b2c3d', 'hex');
    const inner = createHash('md5').update('penciluser').digest('hex');
    const outer = createHash('md5').update(inner).update(salt).digest('hex');
    expect(create().answer({ kind: 'md5', salt })?.toString('latin1', 5)).toBe(`md5${outer}\0`);
    expect(create().answer({ kind: 'cleartext' })?.toString('latin1', 5)).toBe('pencil\0');
    expect(() => create({ encrypted: false }).answer({ kind: 'md5', salt })).toThrow(/unencrypted/);
    expect(() => create({ encrypted: false }).answer({ kind: 'cleartext' })).toThrow(/unencrypted/);
  });

  test.each([
    ['a method that is not supported', { kind: 'unsupported', code: 7 }],
    ['SASL without SCRAM-SHA-256', { kind: 'sasl', mechanisms: ['OAUTHBEARER'] }],
    ['the end of an exchange that never began', { kind: 'sasl-final', data: Buffer.alloc(0) }],
    ['the middle of an exchange that never began', { kind: 'sasl-continue', data: Buffer.alloc(0) }],
  ] as const)('%s is refused', (_, request) => {
    expect(() => create().answer(request)).toThrow(expect.objectContaining({ code: 'ERR_PG_AUTHENTICATION' }));
  });

  test('a missing password is an error that says so, and a server that trusts needs none', () => {
    expect(() => create({ password: undefined }).answer({ kind: 'cleartext' })).toThrow(/none is configured/);
    const trusting = create({ password: undefined });
    expect(trusting.answer({ kind: 'ok' })).toBeUndefined();
    expect(() => trusting.answer({ kind: 'ok' })).toThrow(/twice/);
  });
});
