import { createHash, randomBytes } from 'node:crypto';
import { formatCanonicalJson, type JsonValue } from '../../wire/tlog/index.ts';
import type { AskedHold } from '../types.ts';

type Told = Readonly<Record<string, JsonValue>>;

/** What a gateway asks about a statement, as ours do; `over` changes the subject, and `shown` what is shown. */
export function askedHold(over: Told = {}, shown: Told = {}): AskedHold & { readonly digest: string } {
  const text = 'delete from orders where id = $1';
  const seen = Buffer.from(
    JSON.stringify({
      title: 'postgres:delete on shop',
      text,
      parameters: [{ name: '$1', value: '7', cut: false }],
      ...shown,
    }),
  );
  const told = {
    ...{ v: 'countersign-approval/v1', trustDomain: 'example.org', gateway: GATEWAY.spiffeId, session: 'ab12' },
    ...{
      operation: '3',
      identity: 'spiffe://example.org/web',
      entry: 'web',
      node: 'spiffe://example.org/spire/agent/x/1',
    },
    ...{ instance: { pid: 7, start: '99' }, target: 'shop', protocol: 'postgres', rules: ['careful'] },
    questions: [{ action: 'postgres:delete', resource: 'public.orders', context: {} }],
    obligations: { masks: [], limits: [], record: 'digest' },
    policySet: { digest: digestOf('policies'), revision: 4 },
    ...{ shape: text, content: digestOf(text), parameters: digestOf('7'), shown: digestOf(seen) },
    untilMs: Date.now() + 3_600_000,
    ...over,
  };
  const subject = Buffer.from(formatCanonicalJson(told));
  return { hold: randomBytes(16).toString('hex'), subject, shown: seen, digest: digestOf(subject) };
}

export const GATEWAY = {
  spiffeId: 'spiffe://example.org/countersign/gateway/a',
  address: 'a:7443',
  instance: 'a',
};

/** One try of a gateway to use an answer. */
export function attempt(): string {
  return randomBytes(16).toString('hex');
}

export function digestOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
