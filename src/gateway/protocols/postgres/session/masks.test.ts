// Goal: what policy masks and what the wire has room for fit together.
import { expect, it } from 'vitest';
import { maskGrowthMax } from '../../../../policy/index.ts';
import { cellGrowthMax, encodeDataRow, maskDataRow, Outbox, readDataRow } from '../../../../wire/postgres/index.ts';
import { cellMasks } from './masks.ts';

it('a mask never needs more room than a row has for it', () => {
  expect(maskGrowthMax).toBeLessThanOrEqual(cellGrowthMax);
});

it('texts are masked as texts, other types and NULL are NULL', () => {
  const field = { name: 'c', tableOid: 1, typeOid: 25, typeBytes: -1, typeModifier: -1, format: 0 };
  const fields = [1, 2, 3, 4].map((attributeNumber) => ({
    ...field,
    attributeNumber,
    typeOid: attributeNumber === 3 ? 23 : 25,
  }));
  const plan = {
    byAttribute: new Map([
      ['1:1', 'last4'],
      ['1:3', 'last4'],
      ['1:4', 'redact'],
    ] as const),
    relations: new Map([[1, 4]]),
    cleanRest: false,
    columnsMasked: 3,
  };
  const row = encodeDataRow(
    ['4111111111111111', 'Ada', '4111', null].map((text) => (text === null ? null : Buffer.from(text))),
  );
  const out = new Outbox();
  maskDataRow({ buffer: row, start: 0, end: row.length }, cellMasks(plan, fields, Buffer.alloc(32)), out);
  const shown = Buffer.concat(out.take());
  expect(readDataRow({ buffer: shown, start: 0, end: shown.length }).map((value) => value?.toString() ?? null)).toEqual(
    ['************1111', 'Ada', null, null],
  );
});
