import { AgentError } from '../errors.ts';
import { targetProtocols } from './target-refusal.ts';

/** What a gateway answers and what a client opens with: both come from outside, and neither parser may throw or read past the end. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  try {
    for (const protocol of Object.values(targetProtocols)) {
      const opening = protocol.opening(bytes);
      if (opening.step === 'decline' && (opening.consumed === 0 || opening.consumed > bytes.length)) {
        throw new Error('a declined request is not what was consumed');
      }
      const refusal = protocol.refusal({
        kind: 'busy',
        message: bytes.toString('utf8'),
        hint: bytes.toString('latin1'),
      });
      if (refusal.readUInt32BE(1) !== refusal.length - 1) throw new Error('the refusal is not framed');
    }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from([0]),
  Buffer.from([1, 0, 2, 0x6e, 0x6f]),
  Buffer.from([1, 0xff, 0xff, 0]),
  Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]),
  Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]),
];

export const tokens = [
  Buffer.from([4, 210, 22, 47]),
  Buffer.from([4, 210, 22, 46]),
  Buffer.from([0, 3, 0, 0]),
  Buffer.from([0, 0, 0, 8]),
];
