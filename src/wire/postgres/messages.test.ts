import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { parse, serialize } from 'pg-protocol';
import { describe, expect, test } from 'vitest';
import {
  cellGrowthMax,
  encodeBackendKeyData,
  encodeCancelRequest,
  encodeDataRow,
  encodeDescribe,
  encodeError,
  encodeNegotiateVersion,
  encodeParameterStatus,
  encodeParse,
  encodeQuery,
  encodeReadyForQuery,
  encodeRowDescription,
  encodeSslRequest,
  encodeStartup,
  maskDataRow,
  Outbox,
  PostgresWireError,
  readBackendKeyData,
  readBind,
  readDataRow,
  readErrorFields,
  readExecute,
  readNamed,
  readNegotiateVersion,
  readParse,
  readQuery,
  readRowDescription,
  readStartupPacket,
} from './index.ts';

const span = (buffer: Buffer) => ({ buffer, start: 0, end: buffer.length });
const text = fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.replaceAll('\0', ''));

/** What pg-protocol's parser makes of our bytes. */
async function theirs(bytes: Buffer): Promise<Record<string, unknown>[]> {
  const stream = new PassThrough();
  const seen: Record<string, unknown>[] = [];
  const done = parse(stream, (message) => seen.push(message as unknown as Record<string, unknown>)); // Their messages differ by name.
  stream.end(bytes);
  await done;
  return seen;
}

describe('frontend messages', () => {
  test('as pg-protocol writes them are read back', () => {
    expect(readQuery(span(serialize.query('select 1')))).toBe('select 1');
    expect(readParse(span(serialize.parse({ name: 's', text: 'select $1', types: [23] })))).toEqual({
      name: 's',
      text: 'select $1',
      parameterTypes: [23],
    });
    const bind = readBind(
      span(serialize.bind({ portal: 'p', statement: 's', binary: true, values: ['a', null, Buffer.from([1])] })),
    );
    expect(bind).toMatchObject({ portal: 'p', statement: 's', parameterFormats: [0, 0, 1], resultFormats: [1] });
    expect(bind.parameters).toEqual([Buffer.from('a'), null, Buffer.from([1])]);
    expect(readNamed(span(serialize.describe({ type: 'P', name: 'x' })))).toEqual({ kind: 'P', name: 'x' });
    expect(readNamed(span(serialize.close({ type: 'S', name: 'x' })))).toEqual({ kind: 'S', name: 'x' });
    expect(readExecute(span(serialize.execute({ portal: 'p', rows: 7 })))).toEqual({ portal: 'p', rowsMax: 7 });
  });

  test('are written as pg-protocol writes them', () => {
    expect(encodeQuery('sélect').equals(serialize.query('sélect'))).toBe(true);
    expect(encodeParse('n', 't').equals(serialize.parse({ name: 'n', text: 't' }))).toBe(true);
    const types = [25, 0, 2_147_483_647];
    expect(encodeParse('n', 't', types).equals(serialize.parse({ name: 'n', text: 't', types }))).toBe(true);
    expect(encodeParse('', '', [4_294_967_295]).subarray(-4)).toEqual(Buffer.alloc(4, 0xff));
    expect(encodeDescribe('P', 'n').equals(serialize.describe({ type: 'P', name: 'n' }))).toBe(true);
    expect(encodeSslRequest().equals(serialize.requestSsl())).toBe(true);
    const key = Buffer.from([0, 0, 1, 0]);
    expect(encodeCancelRequest(7, key).equals(serialize.cancel(7, 256))).toBe(true);
  });

  test.each([
    ['no end', Buffer.from('5100000005ff', 'hex')],
    ['two ends', Buffer.from('51000000060000', 'hex')],
    ['invalid UTF-8', Buffer.from('5100000006ff00', 'hex')],
  ])('a Query with %s is refused', (_, bytes) => {
    expect(() => readQuery(span(bytes))).toThrow(expect.objectContaining({ code: 'ERR_PG_MALFORMED' }));
  });

  test('whatever the bytes, reading throws nothing but its own error', () => {
    const readers = [readQuery, readParse, readBind, readNamed, readExecute, readRowDescription, readDataRow];
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 5, maxLength: 60 }), fc.constantFrom(...readers), (bytes, read) => {
        try {
          read(span(Buffer.from(bytes)));
        } catch (error) {
          expect(error).toBeInstanceOf(PostgresWireError);
        }
      }),
    );
  });
});

describe('start-up packets', () => {
  test('round-trip', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.tuple(
            text.filter((name) => name !== '' && name.isWellFormed()),
            text.filter((value) => value.isWellFormed()),
          ),
          {
            selector: ([name]) => name,
            maxLength: 10,
          },
        ),
        fc.nat(5),
        (parameters, minor) => {
          const bytes = encodeStartup(minor, parameters);
          expect(readStartupPacket(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
          expect(readStartupPacket(bytes)).toEqual({
            packet: { kind: 'startup', minor, parameters: new Map(parameters) },
            bytes: bytes.length,
          });
        },
      ),
    );
  });

  test('cancel keys of 4 to 256 bytes are read, others refused', () => {
    for (const [bytes, fine] of [
      [3, false],
      [4, true],
      [32, true],
      [256, true],
      [257, false],
    ] as const) {
      const packet = encodeCancelRequest(9, Buffer.alloc(bytes, 1));
      if (fine) expect(readStartupPacket(packet)?.packet).toMatchObject({ kind: 'cancel', processId: 9 });
      else expect(() => readStartupPacket(packet)).toThrow(expect.objectContaining({ code: 'ERR_PG_STARTUP' }));
    }
  });

  test.each([
    [
      'a doubled parameter',
      encodeStartup(0, [
        ['user', 'a'],
        ['user', 'b'],
      ]),
    ],
    ['a parameter that is not UTF-8', Buffer.from('0000001000030000' + '61ff00' + '620000' + '0000', 'hex')],
    ['protocol 2', Buffer.from('0000000800020000', 'hex')],
    ['no end', Buffer.from('0000000a000300006161', 'hex')],
    ['a length below the least', Buffer.from('00000007', 'hex')],
    ['a length over the limit', Buffer.from('00002711', 'hex')],
  ])('with %s are refused', (_, packet) => {
    expect(() => readStartupPacket(packet)).toThrow(expect.objectContaining({ code: 'ERR_PG_STARTUP' }));
  });
});

describe('backend messages', () => {
  test('of ours are what pg-protocol reads', async () => {
    const fields = [
      { name: 'ssn', tableOid: 16384, attributeNumber: 3, typeOid: 25, typeBytes: -1, typeModifier: -1, format: 0 },
    ];
    const seen = await theirs(
      Buffer.concat([
        encodeParameterStatus('a', 'b'),
        encodeBackendKeyData(5, Buffer.from([0, 0, 0, 9])),
        encodeReadyForQuery('T'),
        encodeRowDescription(fields),
        encodeDataRow([Buffer.from('x'), null]),
        encodeError({ severity: 'ERROR', sqlstate: '42501', message: 'no', detail: 'd', hint: 'h\0i' }),
      ]),
    );
    expect(seen).toMatchObject([
      { name: 'parameterStatus', parameterName: 'a', parameterValue: 'b' },
      { name: 'backendKeyData', processID: 5, secretKey: 9 },
      { name: 'readyForQuery', status: 'T' },
      { name: 'rowDescription', fields: [{ name: 'ssn', tableID: 16384, columnID: 3, dataTypeID: 25 }] },
      { name: 'dataRow', fields: ['x', null] },
      { name: 'error', severity: 'ERROR', code: '42501', message: 'no', detail: 'd', hint: 'h\ufffdi' },
    ]);
    expect(readRowDescription(span(encodeRowDescription(fields)))).toEqual(fields);
  });

  test('round-trip', () => {
    const error = encodeError({ severity: 'FATAL', sqlstate: '57P01', message: 'm' });
    expect(readErrorFields(span(error)).get('C')).toBe('57P01');
    expect(readNegotiateVersion(span(encodeNegotiateVersion(0, ['_pq_.x'])))).toEqual({
      minor: 0,
      unknown: ['_pq_.x'],
    });
    for (const bytes of [4, 32, 256]) {
      const key = Buffer.alloc(bytes, 7);
      expect(readBackendKeyData(span(encodeBackendKeyData(1, key)))).toEqual({ processId: 1, key });
    }
  });
});

describe('masked rows', () => {
  test('equal the row built from the masked values, whatever the values', () => {
    const value = fc.option(fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)));
    // Room is promised for the value and 16 bytes more.
    const mask16 = fc.option(fc.uint8Array({ maxLength: cellGrowthMax }).map((bytes) => Buffer.from(bytes)));
    const column = fc.record({ value, masked: fc.boolean(), mask: mask16 });
    fc.assert(
      fc.property(fc.array(column, { maxLength: 8 }), fc.nat(20), (columns, lead) => {
        const row = encodeDataRow(columns.map((one) => one.value));
        const buffer = Buffer.concat([Buffer.alloc(lead), row, Buffer.alloc(3)]);
        const out = new Outbox();
        out.keep(buffer, 0, lead);
        maskDataRow(
          { buffer, start: lead, end: lead + row.length },
          columns.map((one) =>
            one.masked ? (_, into, at) => (one.mask === null ? -1 : at + one.mask.copy(into, at)) : undefined,
          ),
          out,
        );
        out.keep(buffer, lead + row.length, buffer.length);
        const expected = encodeDataRow(columns.map((one) => (one.masked && one.value !== null ? one.mask : one.value)));
        const bytes = out.bytes;
        const got = Buffer.concat(out.take());
        expect(got.subarray(lead, got.length - 3).equals(expected)).toBe(true);
        expect(got.length).toBe(bytes);
      }),
    );
  });

  test('rows that do not fit their description are refused', () => {
    const out = new Outbox();
    const row = encodeDataRow([Buffer.from('abc')]);
    expect(() => maskDataRow(span(row), [undefined, undefined], out)).toThrow(PostgresWireError);
    row.writeInt32BE(50, 7);
    expect(() => maskDataRow(span(row), [() => -1], out)).toThrow(PostgresWireError);
    expect(out.take()).toEqual([]);
  });
});

describe('the outbox', () => {
  test('sends an untouched chunk as the same buffer', () => {
    const chunk = Buffer.alloc(30);
    const out = new Outbox();
    out.keep(chunk, 0, 10);
    out.keep(chunk, 10, 30);
    expect(out.take()[0]).toBe(chunk);
  });
});
