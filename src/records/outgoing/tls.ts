import type { ConnectionOptions } from 'node:tls';
import { type Static, Type } from 'typebox';
import { RecordsError } from '../errors.ts';
import type { SinkDeps } from '../sink.ts';

/** Keys of a sink that is reached over TLS. */
export const tlsFields = {
  ca: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'PEM file with the authorities that may vouch for the other side; absent = those that Node.js brings.',
    }),
  ),
  certificate: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'PEM file with a certificate by which this side proves itself, and its chain.',
    }),
  ),
  key: Type.Optional(
    Type.String({
      pattern: '^(file|env):.+$',
      description: 'Reference to its private key in PEM, `file:PATH` or `env:NAME`.',
    }),
  ),
};

const tlsSchema = Type.Object(tlsFields);

/**
 * What a connection is made with, as the files are now: read for each connection, so that what was renewed is used.
 * @throws RecordsError ERR_RECORDS_SINK for one that is not there
 */
export function tlsOptions(
  config: Static<typeof tlsSchema>,
  { readTrustedFile, readSecret }: Pick<SinkDeps, 'readTrustedFile' | 'readSecret'>,
): ConnectionOptions {
  const file = (path: string) => readTrustedFile(path) ?? missing(path);
  const { ca, certificate, key } = config;
  if ((certificate === undefined) !== (key === undefined))
    throw new RecordsError('ERR_RECORDS_SINK', '`certificate` and `key` stand together or not at all');
  return {
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: file(ca) }),
    ...(certificate === undefined ? {} : { cert: file(certificate) }),
    ...(key === undefined ? {} : { key: secretAt(key, readSecret) }),
  };
}

/** What a reference leads to. @throws RecordsError ERR_RECORDS_SINK when there is nothing */
export function secretAt(reference: string, readSecret: SinkDeps['readSecret']): string {
  return readSecret(reference)?.revealText() ?? missing(reference);
}

function missing(what: string): never {
  throw new RecordsError('ERR_RECORDS_SINK', `there is nothing at ${what}, or it is empty`);
}
