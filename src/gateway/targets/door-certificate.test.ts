import type { SecureContext } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import { createLog, createManualClock, type ManualClock, Secret } from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import { GatewayError } from '../errors.ts';
import { parseServerCertificate } from '../listeners/server-certificate.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../testing/test-authority.ts';
import { createDoorCertificate, type DoorCertificate } from './door-certificate.ts';

// Goal: what is shown at a door is good whenever it is shown, is that of the files within seconds, and what is wrong with it is told.

const NOW_MS = Date.UTC(2026, 10, 22);
const DAY_S = 86_400;
const web = createTestAuthority('web.test', NOW_MS);
const mesh = createTestAuthority('example.org', NOW_MS);
const identity = createTestIdentity(identityOf(mesh.issue('/gateway', DAY_S, ['gateway.internal']), [mesh]));
const KEY_OF_NOBODY = 'a key that must not be shown';

let clock: ManualClock;
let files: Map<string, string>;
let lines: { event: string }[];
let door: DoorCertificate;

/** Puts a certificate for these hosts and its key into the files. */
function put(hosts: readonly string[], lifeS = 90 * DAY_S) {
  const { certPem, keyPem } = web.issue('/server', (clock.now() - NOW_MS) / 1000 + lifeS, hosts);
  files.set('file:cert', certPem).set('file:key', keyPem);
}

function open(hosts?: readonly string[]) {
  const made = createDoorCertificate(
    { certificate: 'file:cert', key: 'file:key' },
    {
      ...{ clock, identity, target: 'api', hosts },
      log: createLog({ level: 'info', write: (line) => lines.push(JSON.parse(line)) }),
      secrets: {
        async resolve(reference) {
          const text = files.get(reference);
          if (text === undefined) throw new GatewayError('ERR_GATEWAY_SECRET', `${reference} is missing or empty`);
          return Secret.fromText(text);
        },
      },
    },
  );
  if (made === undefined) throw new Error('it declares one');
  return made;
}

const isContext = (shown: SecureContext | 'broken' | undefined) => typeof shown === 'object';

beforeEach(() => {
  clock = createManualClock(NOW_MS);
  [files, lines] = [new Map(), []];
});

describe('a door’s certificate', () => {
  it('is shown for its hosts, by the rules of clients, and for no others', async () => {
    put(['api.test', '*.apps.test']);
    door = open();
    await door.start();
    for (const host of ['api.test', 'API.test', 'one.apps.test']) expect(isContext(door.contextFor(host))).toBe(true);
    for (const host of ['apps.test', 'two.one.apps.test', 'gateway.internal', 'api.test.evil', undefined])
      expect(door.contextFor(host)).toBe(undefined);
    expect(door.problems()).toEqual([]);
    door.close();
  });

  it('is the one of the files within ten seconds, as soon as both are', async () => {
    put(['old.test']);
    door = open();
    await door.start();
    const { certPem, keyPem } = web.issue('/server', 90 * DAY_S, ['new.test']);
    files.set('file:cert', certPem); // Its key comes later.
    await clock.advance(10_000);
    expect(isContext(door.contextFor('old.test'))).toBe(true);
    expect(door.problems()).toMatchObject([
      { about: 'certificate-soon', what: expect.stringContaining('the key does not belong to the certificate') },
    ]);
    files.set('file:key', keyPem);
    await clock.advance(10_000);
    expect([isContext(door.contextFor('new.test')), door.contextFor('old.test')]).toEqual([true, undefined]);
    expect(door.problems()).toEqual([]);
    door.close();
  });

  it('is read no more once its door is closed', async () => {
    put(['api.test']);
    door = open();
    await door.start();
    expect(clock.pending()).toBe(1);
    door.close();
    expect(clock.pending()).toBe(0);
  });

  it('that nothing declares is none', () => {
    expect(createDoorCertificate({}, {} as Parameters<typeof createDoorCertificate>[1])).toBe(undefined);
  });
});

describe('what can not be used', () => {
  it('is never shown, and is told once in the log and always among the problems', async () => {
    door = open();
    expect(door.contextFor('api.test')).toBe('broken');
    expect(door.problems()).toMatchObject([{ target: 'api', about: 'certificate', what: /not read yet/ }].map(like));
    await door.start();
    await clock.advance(30_000);
    expect(door.contextFor('api.test')).toBe('broken');
    expect(door.problems()).toMatchObject([{ about: 'certificate', what: /file:cert is missing/ }].map(like));
    expect(lines.map(({ event }) => event)).toEqual(['gateway.door.certificate_failed']);
    put(['api.test']);
    await clock.advance(10_000);
    expect(isContext(door.contextFor('api.test'))).toBe(true);
    expect(door.problems()).toEqual([]);
    door.close();
  });

  it('replaces nothing that is good, but what is good has an end', async () => {
    put(['api.test'], 100);
    door = open();
    await door.start();
    files.delete('file:key');
    await clock.advance(60_000);
    expect(isContext(door.contextFor('api.test'))).toBe(true);
    expect(door.problems().map(({ what }) => what)).toEqual([
      'the door shows the certificate from before: file:key is missing or empty',
    ]);
    await clock.advance(39_999);
    expect(isContext(door.contextFor('api.test'))).toBe(true);
    await clock.advance(1);
    expect(door.contextFor('api.test')).toBe('broken');
    expect(door.problems()).toMatchObject([{ about: 'certificate', what: /file:key is missing/ }].map(like));
    door.close();
  });

  it('is said when it stands there expired', async () => {
    put(['api.test'], 100);
    door = open();
    await door.start();
    clock.step(100_000);
    expect(door.contextFor('api.test')).toBe('broken');
    expect(door.problems()).toMatchObject([{ about: 'certificate', what: /it has expired/ }].map(like));
    await clock.advance(10_000);
    expect(door.problems()).toMatchObject([{ what: /has expired at 2026-11-22T00:01:40/ }].map(like));
    door.close();
  });
});

describe('before it is too late', () => {
  it.each([
    ['fourteen days before the end of one of ninety', 90 * DAY_S, 76 * DAY_S],
    ['with a fifth left of one of an hour', 3_540, 2_820],
  ])('it is told, %s', async (_, lifeS, toldS) => {
    put(['api.test'], lifeS);
    door = open();
    await door.start();
    clock.step(toldS * 1000);
    expect(door.problems()).toEqual([]);
    clock.step(1);
    expect(door.problems()).toMatchObject(
      [{ about: 'certificate-soon', what: /the door’s certificate expires at/ }].map(like),
    );
    door.close();
  });

  it('hosts are told that neither it nor the gateway’s identity has', async () => {
    put(['api.test']);
    door = open(['api.test', 'gateway.internal', 'forgotten.test']);
    await door.start();
    expect(door.problems().map(({ about, what }) => [about, what])).toEqual([
      ['certificate-soon', 'the door’s certificate is not for forgotten.test, nor is the gateway’s identity'],
    ]);
    door.close();
  });
});

describe('no certificate of a door', () => {
  const server = web.issue('/server', DAY_S, ['api.test']);
  const other = web.issue('/server', DAY_S, ['api.test']);
  it.each([
    ['is empty', '', server.keyPem, 'no PEM of certificates'],
    ['has its key in the same file', server.certPem + server.keyPem, server.keyPem, 'no PEM of certificates'],
    ['is no DER', encodePem('CERTIFICATE', Buffer.from('no')), server.keyPem, 'no PEM of certificates'],
    ['has another key', server.certPem, other.keyPem, 'the key does not belong to the certificate'],
    ['has something else for a key', server.certPem, KEY_OF_NOBODY, 'no PEM of a private key'],
    ['has its root first', encodePem('CERTIFICATE', web.rootDer) + server.certPem, server.keyPem, 'does not belong'],
  ])('%s', (_, certificate, key, what) => {
    const make = () => parseServerCertificate({ certificate: Buffer.from(certificate), key: Buffer.from(key) }, NOW_MS);
    expect(make).toThrow(what);
    expect(make).not.toThrow('must not be shown');
  });

  it('is not valid yet, or any more', () => {
    const pem = { certificate: Buffer.from(server.certPem), key: Buffer.from(server.keyPem) };
    expect(() => parseServerCertificate(pem, NOW_MS - 60_001)).toThrow('not valid before');
    expect(parseServerCertificate(pem, NOW_MS - 60_000).isFor('api.test')).toBe(true);
    expect(parseServerCertificate(pem, NOW_MS + DAY_S * 1000 - 1).isFor('api.test')).toBe(true);
    expect(() => parseServerCertificate(pem, NOW_MS + DAY_S * 1000)).toThrow('has expired at');
  });
});

function like({ what, ...problem }: { what: RegExp; about?: string; target?: string }) {
  return { ...problem, what: expect.stringMatching(what) };
}
