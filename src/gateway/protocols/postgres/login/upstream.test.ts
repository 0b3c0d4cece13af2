import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { createSystemClock, createSystemRandom, Secret } from '../../../../std/index.ts';
import { encodeError, encodeParameterStatus } from '../../../../wire/postgres/index.ts';
import { encodePem } from '../../../../wire/x509/index.ts';
import type { LoginProblem } from '../../../protocol.ts';
import { createTestAuthority } from '../../../testing/test-authority.ts';
import { parseConfig } from '../config.ts';
import { greeting } from '../testing/greeting.ts';
import { openUpstream } from './upstream.ts';

const authority = createTestAuthority('example.org', Date.now());
const svid = authority.issue('/db');
let server: TestPostgres;
const secrets: Record<string, string> = {
  'env:PW': 'sécret ﬁ x', // SASLprep changes it.
  'env:WRONG': 'wrong',
  'env:CERT': svid.certPem,
  'env:KEY': svid.keyPem,
  'env:ROOTS': encodePem('CERTIFICATE', authority.rootDer),
  'env:OTHER': encodePem('CERTIFICATE', createTestAuthority('example.org', Date.now()).rootDer),
};

beforeAll(async () => {
  server = await startPostgres({
    users: { scram: 'sécret ﬁ x', open: 'sécret ﬁ x', bycert: 'sécret ﬁ x' },
    tls: { cert: svid.certPem, key: svid.keyPem, clientCa: encodePem('CERTIFICATE', authority.rootDer) },
    hba: [
      'local all all scram-sha-256',
      'host all open all trust',
      'hostssl all bycert all trust clientcert=verify-ca',
      'host all bycert all reject',
      'host all plain all password',
      'host all md all md5',
      'host all all all scram-sha-256',
      '',
    ].join('\n'),
  });
  await server.query(`create role plain login password 'sécret ﬁ x'`);
  await server.query(`set password_encryption = 'md5'; create role md login password 'sécret ﬁ x'`);
});
afterAll(() => server.stop());

/** What the target’s owner was told of each login. */
let told: { readonly place: string; readonly problem: LoginProblem | undefined }[] = [];
beforeEach(() => {
  told = [];
});

function open(
  config: Record<string, unknown>,
  signal = AbortSignal.timeout(10_000),
  client?: Readonly<Record<string, string>>,
  secretsAreThere: () => Promise<void> = async () => {},
) {
  const deps = {
    config: parseConfig({
      host: server.host,
      port: server.port,
      database: 'postgres',
      user: 'scram',
      password: 'env:PW',
      ...config,
    }),
    clock: createSystemClock(),
    random: createSystemRandom(),
    secrets: {
      resolve: async (reference: string) => {
        await secretsAreThere();
        return Secret.fromText(secrets[reference] ?? '');
      },
    },
    attempted: (place: string, problem: LoginProblem | undefined) => void told.push({ place, problem }),
  };
  return openUpstream(deps, {
    parameters: [['database', 'postgres'], ['client_encoding', 'UTF8'], ...Object.entries(client ?? {})],
    minor: 2,
    forClient: client !== undefined,
    signal,
  });
}

describe('logging in to a real server', () => {
  test.each([
    ['scram-sha-256 on the loopback', {}],
    ['scram-sha-256 over the unix socket', { host: 'socket' }],
    ['scram-sha-256-plus, verified by roots', { sslMode: 'verify-ca', sslRoots: 'env:ROOTS' }],
    ['TLS that is not verified', { sslMode: 'require' }],
    ['cleartext on the loopback', { user: 'plain' }],
    ['md5 over TLS', { user: 'md', sslMode: 'verify-ca', sslRoots: 'env:ROOTS' }],
    ['no password where none is asked for', { user: 'open' }],
    [
      'a client certificate',
      { user: 'bycert', sslMode: 'verify-ca', sslRoots: 'env:ROOTS', certificate: 'env:CERT', key: 'env:KEY' },
    ],
  ])('by %s', async (_, config) => {
    const upstream = await open({ ...config, ...('host' in config ? { host: server.socketDir } : {}) });
    expect(upstream.parameters.get('client_encoding')).toBe('UTF8');
    expect(upstream.minor).toBe(2);
    expect(upstream.cancelKey.length).toBe(32);
    expect(told).toEqual([{ place: 'postgres', problem: undefined }]);
    upstream.socket.destroy();
  });

  test.each([
    ['a wrong password', { password: 'env:WRONG' }, 'LOGIN', 'HERE refuses the gateway’s credential (28P01)'],
    [
      'no password where one is asked for',
      { password: undefined },
      'LOGIN',
      'no login at HERE: the server asks for a password and none is configured',
    ],
    ['a role that is not there', { user: 'nobody' }, 'LOGIN', 'HERE refuses the gateway’s credential (28P01)'],
    [
      'roots that do not verify the server',
      { sslMode: 'verify-ca', sslRoots: 'env:OTHER' },
      'TLS',
      'no TLS with HERE that proves who it is (SELF_SIGNED_CERT_IN_CHAIN)',
    ],
    [
      'a certificate for another name',
      { sslMode: 'verify-full', sslRoots: 'env:ROOTS' },
      'TLS',
      'no TLS with HERE that proves who it is (ERR_TLS_CERT_ALTNAME_INVALID)',
    ],
    ['nobody at that port', { port: 1 }, 'AWAY', '127.0.0.1:1 can’t be reached: nothing listens there (ECONNREFUSED)'],
    [
      'a name that does not exist',
      { host: '/does/not/exist' },
      'AWAY',
      /^\/does\/not\/exist:\d+ can’t be reached \(ENOENT\)$/,
    ],
  ])('fails with a code for %s, and is told without a word of the server’s', async (_, config, code, what) => {
    await expect(open(config)).rejects.toMatchObject({ code: `ERR_GATEWAY_TARGET_${code}` });
    const expected = typeof what === 'string' ? what.replace('HERE', `${server.host}:${server.port}`) : what;
    expect(told).toEqual([
      {
        place: 'postgres',
        problem: {
          what: typeof expected === 'string' ? expected : expect.stringMatching(expected),
          remedy: expect.stringMatching(/^[A-Z].*\.$/),
        },
      },
    ]);
  });

  test.each([
    ['a time zone that is none', { timezone: 'Nowhere/Else' }],
    ['a time-out that is no time', { statement_timeout: 'soon' }],
    ['a setting that there is not', { 'no.such thing': '1' }],
  ])('for a client with %s fails, which says nothing about the target', async (_, client) => {
    await expect(open({}, undefined, client)).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_AWAY' });
    expect(told).toEqual([]);
    await expect(open({ password: 'env:WRONG' }, undefined, client)).rejects.toThrow();
    await expect(open({ port: 1 }, undefined, client)).rejects.toThrow();
    expect(told).toHaveLength(2);
  });

  test('that whoever wanted it gives up is told nobody', async () => {
    const controller = new AbortController();
    const login = open({}, controller.signal);
    controller.abort();
    await expect(login).rejects.toThrow();
    expect(told).toEqual([]);
  });
});

test('without the certificate that the server asks for there is no login', async () => {
  const login = open({ user: 'bycert', sslMode: 'verify-ca', sslRoots: 'env:ROOTS' });
  await expect(login).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_GATEWAY_TARGET_/) });
});

describe('servers that are none', () => {
  async function fake(answer: (socket: Socket) => void, run: (port: number) => Promise<void>) {
    const sockets = new Set<Socket>();
    const listener = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const address = listener.address();
    try {
      await run(typeof address === 'object' && address !== null ? address.port : 0);
    } finally {
      listener.close();
      for (const socket of sockets) socket.destroy();
    }
  }
  const ready = '5a0000000549';
  const ok = '520000000800000000';

  test.each([
    ['garbage', 'ff000000', 'ERR_GATEWAY_TARGET_PROTOCOL'],
    ['ready before it authenticated', ready, 'ERR_GATEWAY_TARGET_PROTOCOL'],
    ['ready without a cancel key', ok + ready, 'ERR_GATEWAY_TARGET_PROTOCOL'],
    ['rows nobody asked for', '44000000060000', 'ERR_GATEWAY_TARGET_PROTOCOL'],
    ['settings that change what texts mean', `${ok}4b0000000c0000000100000001${ready}`, 'ERR_GATEWAY_TARGET_PROTOCOL'],
    ['more than it was asked', `${ok}4b0000000c0000000100000001${ready}44`, 'ERR_GATEWAY_TARGET_PROTOCOL'],
  ])('are found out: %s', async (_, hex, code) => {
    await fake(
      (socket) =>
        void socket.write(Buffer.from(hex.length % 2 === 0 && hex !== 'ff000000' ? hex : 'ff00000000', 'hex')),
      async (port) => void (await expect(open({ port })).rejects.toMatchObject({ code })),
    );
  });

  test.each([
    [
      'an authentication that is not known',
      '5200000008000000ff',
      'LOGIN',
      /^no login at .*: the server asks for authentication method 255/,
    ],
    ['a SASL exchange that goes on before it began', '52000000080000000b', 'LOGIN', /^no login at /],
    ['an authentication cut short', '5200000006ffff', 'PROTOCOL', /^what answers at .* is no PostgreSQL server/],
  ])('are told apart from bugs of ours: %s', async (_, hex, code, what) => {
    await fake(
      (socket) => void socket.write(Buffer.from(hex, 'hex')),
      async (port) => void (await expect(open({ port })).rejects.toMatchObject({ code: `ERR_GATEWAY_TARGET_${code}` })),
    );
    expect(told).toMatchObject([{ problem: { what: expect.stringMatching(what) } }]);
  });

  test.each([
    ['no TLS', 'N', {}],
    ['plain bytes behind the yes to TLS', 'Sxyz', {}],
  ])('are found out before a password is sent: %s', async (_, text) => {
    await fake(
      (socket) => void socket.write(text),
      async (port) =>
        void (await expect(open({ port, sslMode: 'require' })).rejects.toMatchObject({
          code: 'ERR_GATEWAY_TARGET_TLS',
        })),
    );
  });

  test('one that is ready and says in the same breath that it stops is away, not foreign', async () => {
    const farewell = encodeError({ severity: 'FATAL', sqlstate: '57P01', message: 'unexpected postmaster exit' });
    await fake(
      (socket) => void socket.end(Buffer.concat([greeting, farewell])),
      async (port) =>
        void (await expect(open({ port })).rejects.toMatchObject({
          code: 'ERR_GATEWAY_TARGET_AWAY',
          cause: { code: '57P01' },
        })),
    );
  });

  test('one that reports a setting anew right behind being ready is as good as any', async () => {
    const behind = Buffer.concat([greeting, encodeParameterStatus('TimeZone', 'UTC')]);
    await fake(
      (socket) => void socket.write(behind),
      async (port) => {
        const upstream = await open({ port });
        expect(upstream.parameters.get('TimeZone')).toBe('UTC');
        upstream.socket.destroy();
      },
    );
  });

  test('one that takes back behind being ready what texts mean is found out', async () => {
    const behind = Buffer.concat([greeting, encodeParameterStatus('standard_conforming_strings', 'off')]);
    await fake(
      (socket) => void socket.write(behind),
      async (port) =>
        void (await expect(open({ port })).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_PROTOCOL' })),
    );
  });

  test('one that hangs up is away', async () => {
    await fake(
      (socket) => void socket.end(),
      async (port) => void (await expect(open({ port })).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_AWAY' })),
    );
  });
});

test('a target that is gone before the password is known is told at once, not waited for', async () => {
  const reset = Promise.withResolvers<void>();
  const target = createServer((socket) => {
    socket.on('error', () => {}).on('close', () => reset.resolve());
    socket.end();
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const address = target.address();
  const port = typeof address === 'object' ? address?.port : 0;
  secrets['env:LATE'] = 'x';
  const late = open(
    { host: '127.0.0.1', port, sslMode: 'disable', password: 'env:LATE' },
    undefined,
    undefined,
    async () => {
      await reset.promise;
      await turns();
    },
  );
  await expect(late).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_AWAY' });
  target.close();
});

/** Lets the event loop see all that has happened to sockets. */
async function turns(): Promise<void> {
  for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve));
}
