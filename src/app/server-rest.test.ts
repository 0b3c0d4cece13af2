import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiSocketOf } from '../config/index.ts';
import { createTestAuthority } from '../rpc/testing/fixtures.ts';
import { createSilentLog } from '../std/index.ts';
import { createApiIdentity } from './api-identity.ts';

// Goal: where REST is found, and by what certificate, is what the operator said; what is not good is told, and never ends what was good.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rest-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('the socket of REST lies beside that of operators, and two servers of one folder have one each', () => {
  expect(apiSocketOf('/run/countersign/server/server.sock')).toBe('/run/countersign/server/api.sock');
  expect(apiSocketOf('/run/countersign/two.sock')).toBe('/run/countersign/two-api.sock');
  expect(apiSocketOf('/run/countersign/socket')).toBe('/run/countersign/socket-api.sock');
});

describe('a certificate of the operator’s', () => {
  const authority = createTestAuthority('example.org');
  const write = (name: string, text: string | Buffer, seconds: number) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
    utimesSync(path, seconds, seconds);
    return path;
  };
  const open = (certificate: string, key: string) =>
    createApiIdentity({ log: createSilentLog(), env: {}, certificate, key: `file:${key}` });

  it('is read when it is asked for, and again when it has changed', () => {
    const [one, two] = [authority.issue('spiffe://example.org/a'), authority.issue('spiffe://example.org/b')];
    const [certificate, key] = [write('c.pem', one.certPem, 1), write('k.pem', one.keyPem, 1)];
    const identity = open(certificate, key);
    const first = identity();
    expect(first.chainDer[0]).toEqual(one.chainDer[0]);
    expect(identity()).toBe(first);
    write('c.pem', two.certPem, 2);
    // Between the two writes of whoever renews it: the key is still the old one's.
    expect(identity()).toBe(first);
    write('k.pem', two.keyPem, 2);
    expect(identity().chainDer[0]).toEqual(two.chainDer[0]);
  });

  it('that is not there, or not that of the key, keeps the server from starting', () => {
    const one = authority.issue('spiffe://example.org/a');
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    });
    const [certificate, key] = [write('c.pem', one.certPem, 1), write('k.pem', `${other}`, 1)];
    expect(open(certificate, key)).toThrow(expect.objectContaining({ code: 'ERR_APP_CONFIG' }));
    expect(open(certificate, key)).toThrow('is not that of the first certificate');
    expect(open(join(folder, 'none.pem'), key)).toThrow('there is no file');
    expect(open(certificate, join(folder, 'none.pem'))).toThrow('there is no key');
  });
});
