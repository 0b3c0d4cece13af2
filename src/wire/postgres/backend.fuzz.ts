import { createSeededRandom, Secret } from '../../std/index.ts';
import {
  Backend,
  createAuthentication,
  encodeDataRow,
  encodeError,
  encodeReadyForQuery,
  encodeRowDescription,
  Framer,
  maskDataRow,
  Outbox,
  PostgresWireError,
  readAuthentication,
  readBackendKeyData,
  readCommandComplete,
  readDataRow,
  readErrorFields,
  readNegotiateVersion,
  readParameterStatus,
  readReadyForQuery,
  readRowDescription,
} from './index.ts';

/** What a hostile server can send; the first byte says how many columns the masker believes in. */
export function fuzz(input: Uint8Array): void {
  const columns = (input[0] ?? 0) % 8;
  const framer = new Framer({ messageBytesMax: 4096 });
  const authentication = createAuthentication({
    user: 'u',
    password: Secret.fromText('p'),
    random: createSeededRandom('fuzz'),
    encrypted: true,
    serverEndPoint: undefined,
  });
  framer.push(Buffer.from(input.subarray(1)));
  for (;;) {
    try {
      if (!framer.next()) return;
      if (framer.type === Backend.authentication) authentication.answer(readAuthentication(framer));
      else if (framer.type === Backend.dataRow) maskRow(framer, columns);
      else readers.get(framer.type)?.(framer);
    } catch (error) {
      if (!(error instanceof PostgresWireError)) throw error;
      if (error.code === 'ERR_PG_LENGTH' || error.code === 'ERR_PG_TOO_LONG') return;
    }
  }
}

/** A masked row shows no value: whatever the row, each cell comes out as the mask or NULL. */
function maskRow(framer: Framer, columns: number): void {
  const out = new Outbox();
  maskDataRow(
    framer,
    new Array(columns).fill((_: unknown, into: Buffer, at: number) => at + MASK.copy(into, at)),
    out,
  );
  const row = Buffer.concat(out.take());
  for (const value of readDataRow({ buffer: row, start: 0, end: row.length })) {
    if (value !== null && !value.equals(MASK)) throw new Error('a value came through its mask');
  }
}

const MASK = Buffer.from('masked');
const readers = new Map<number, (framer: Framer) => unknown>([
  [Backend.backendKeyData, readBackendKeyData],
  [Backend.commandComplete, readCommandComplete],
  [Backend.error, readErrorFields],
  [Backend.negotiateVersion, readNegotiateVersion],
  [Backend.notice, readErrorFields],
  [Backend.parameterStatus, readParameterStatus],
  [Backend.readyForQuery, readReadyForQuery],
  [Backend.rowDescription, readRowDescription],
]);
const field = { name: 'c', tableOid: 1, attributeNumber: 1, typeOid: 25, typeBytes: -1, typeModifier: -1, format: 0 };
export const seeds: readonly Uint8Array[] = [
  Buffer.concat([Buffer.from([2]), encodeRowDescription([field, field]), encodeDataRow([Buffer.from('x'), null])]),
  Buffer.concat([
    Buffer.from([0]),
    encodeError({ severity: 'ERROR', sqlstate: '42501', message: 'm' }),
    encodeReadyForQuery('E'),
  ]),
  Buffer.from('0052000000170000000a534352414d2d5348412d3235360000', 'hex'),
];

export const tokens = [
  'R',
  'S',
  'K',
  'Z',
  'T',
  'D',
  'C',
  'E',
  'N',
  'v',
  'A',
  '\0',
  'SCRAM-SHA-256\0',
  'SCRAM-SHA-256-PLUS\0',
  'r=',
  ',s=',
  ',i=4096',
  'v=',
  Buffer.from([0, 0, 0, 4]),
  Buffer.from([255, 255, 255, 255]),
  Buffer.from([0, 0, 0, 10]),
];
