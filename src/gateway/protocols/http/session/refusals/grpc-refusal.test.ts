import { describe, expect, it } from 'vitest';
import { encodeGrpcEnd, encodeGrpcRefusal } from './grpc-refusal.ts';

const answer = { status: 403, reason: 'no-permit', hint: 'It needs a permit.' };
const messageOf = (bytes: Buffer) => /^grpc-message: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1] ?? '';

describe('the message of a refusal', () => {
  it('says why and what to do', () => {
    const bytes = encodeGrpcRefusal({ ...answer, message: 'no', policies: ['p1'] }, { close: false });
    expect(messageOf(bytes)).toBe('no (policies: p1): It needs a permit.');
  });

  it.each([
    ...Array(7).keys(),
  ])('is no longer than clients take, cut between bytes and before what to do: %i', (more) => {
    const message = 'a'.repeat(more) + 'ü'.repeat(2_000);
    for (const bytes of [
      encodeGrpcRefusal({ ...answer, message }, { close: false }),
      encodeGrpcEnd({ ...answer, message }),
    ]) {
      const said = messageOf(bytes);
      expect(said.length).toBeLessThanOrEqual(2_048);
      expect(said.length).toBeGreaterThan(2_040);
      expect(said).toMatch(/%[0-9A-F]{2}\.\.\.: It needs a permit\.$/);
    }
  });

  it('is whole up to that', () => {
    const longest = 'a'.repeat(2_048 - ': It needs a permit.'.length);
    const said = (message: string) => messageOf(encodeGrpcEnd({ ...answer, message }));
    expect(said(longest)).toBe(`${longest}: It needs a permit.`);
    expect(said(`${longest}a`)).toBe(`${longest.slice(3)}...: It needs a permit.`);
  });
});
