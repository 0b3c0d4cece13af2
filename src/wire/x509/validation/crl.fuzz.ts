import { createPrivateKey } from 'node:crypto';
import { OID } from '../der/oids.ts';
import { contextTag } from '../der/reader.ts';
import {
  encodeBitString,
  encodeElement,
  encodeInteger,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from '../der/writer.ts';
import { X509Error } from '../errors.ts';
import { encodeSignatureAlgorithm, signWith } from '../keys/signature-algorithm.ts';
import { encodeName } from '../names/name-writer.ts';
import { parseRevocationList } from './crl.ts';

/** A CRL is read or refused with the codec's own error; what was read holds together. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  try {
    const list = parseRevocationList(bytes);
    if (!bytes.includes(list.tbsDer)) throw new Error('the signed part is not in the list');
    for (const serial of list.revoked) if (!/^\d+$/.test(serial)) throw new Error('a serial number is no number');
    if (!Number.isSafeInteger(list.thisUpdateS) || !Number.isSafeInteger(list.nextUpdateS))
      throw new Error('a time is no number');
  } catch (error) {
    if (!(error instanceof X509Error)) throw error;
  }
}

const key = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  },
  format: 'jwk',
});

function write(version2: boolean): Buffer {
  const algorithm = encodeSignatureAlgorithm('ecdsa-sha256');
  const extension = (oid: string, value: Buffer) => encodeSequence(encodeOid(oid), encodeOctetString(value));
  const entry = (serial: number, ...extensions: Buffer[]) =>
    encodeSequence(encodeUnsigned(Buffer.from([serial])), encodeTime(1_800_000_000), ...extensions);
  const keyId = encodeSequence(encodeElement(contextTag(0, false), Buffer.alloc(20, 7)));
  const reason = encodeSequence(extension('2.5.29.21', encodeElement(0x0a, Buffer.from([1]))));
  const tbs = encodeSequence(
    ...(version2 ? [encodeInteger(1)] : []),
    algorithm,
    encodeName({ organization: 'ACME', commonName: 'Root' }),
    encodeTime(1_800_000_000),
    encodeTime(1_900_000_000),
    encodeSequence(entry(7), ...(version2 ? [entry(9, reason)] : [])),
    ...(version2
      ? [
          encodeElement(
            contextTag(0, true),
            encodeSequence(extension(OID.authorityKeyIdentifier, keyId), extension(OID.cRLNumber, encodeInteger(3))),
          ),
        ]
      : []),
  );
  return encodeSequence(tbs, algorithm, encodeBitString(signWith('ecdsa-sha256', key, tbs)));
}

export const seeds: readonly Uint8Array[] = [write(false), write(true)];

/** Object identifiers, flags, tags, times. */
export const tokens = [
  '0603551d14',
  '0603551d15',
  '0603551d1b',
  '0603551d1c',
  '0603551d1d',
  '0603551d23',
  '0101ff',
  '020101',
  'a000',
  '3000',
  '170d',
  '180f',
].map((hex) => Buffer.from(hex, 'hex'));
