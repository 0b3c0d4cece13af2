import { encodeMessage, HANDOVER_VERSION, parseMessage } from './messages.ts';

/** What another agent says, of whatever release: what is understood is a message, and reads as it was written. */
export function fuzz(input: Uint8Array): void {
  const message = parseMessage(Buffer.from(input).toString('utf8'));
  if (message === undefined) return;
  const again = parseMessage(encodeMessage(message).trimEnd());
  if (JSON.stringify(again) !== JSON.stringify(message)) throw new Error('it does not read as it was written');
  if ('why' in message && /\p{Cc}/u.test(message.why)) throw new Error('a control character got through');
}

const SPEAKER = { version: HANDOVER_VERSION, pid: 42, release: '0.1.0' };

export const seeds: readonly Uint8Array[] = [
  encodeMessage({ say: 'hello', ...SPEAKER }),
  encodeMessage({ say: 'want', ...SPEAKER, trustDomain: 'example.org' }),
  encodeMessage({ say: 'paused', isReady: true, doors: ['/run/agent.sock'] }),
  encodeMessage({ say: 'go' }),
  encodeMessage({ say: 'failed', why: 'the\tcache' }),
].map((line) => Buffer.from(line));

export const tokens = ['"say":', '"why":', '"doors":[', 'null', '\\u0007', '"refused"', 'true'];
