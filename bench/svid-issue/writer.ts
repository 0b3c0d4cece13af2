import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createSerials } from '../../src/authority/issuing/serials.ts';
import { createSystemRandom } from '../../src/std/index.ts';
import { createSvidWriter, encodeName, keyIdOf, signWith } from '../../src/wire/x509/index.ts';
import { identity, wishes } from './fixture.ts';

/** The writer of certificates by itself; `write` gets the number of the turn, and may be given the key. */
export function createWriter(): { write: (turn: number, spkiDer?: Buffer) => Buffer; privateKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const writer = createSvidWriter({
    subjectDer: encodeName({ country: 'US', organization: 'SPIFFE', serialNumber: '42' }),
    subjectKeyId: keyIdOf(publicKey.export({ format: 'der', type: 'spki' })),
    algorithm: 'ecdsa-sha256',
    sign: (data) => signWith('ecdsa-sha256', privateKey, data),
  });
  const keys = wishes(16).map(({ spkiDer }) => spkiDer);
  const nextSerial = createSerials(createSystemRandom());
  const nowS = Math.floor(Date.now() / 1000);
  const write = (turn: number, spkiDer = keys[turn % keys.length] ?? Buffer.alloc(0)) =>
    writer.write({
      ...{ serial: nextSerial(), notBeforeS: nowS, notAfterS: nowS + 3600 },
      ...{ spkiDer, uri: identity.uri, dnsNames: [] },
    });
  return { write, privateKey };
}
