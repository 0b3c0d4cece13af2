import { generateKeyPairSync } from 'node:crypto';
import { createSigner, type LedgerSigner } from '../../src/ledger/index.ts';
import type { LedgerEvent } from '../../src/model/index.ts';

/** Operations as a gateway records them: every other event is the outcome of the one before. */
export function eventOf(index: number): LedgerEvent {
  const operation = `op-${index >> 1}`;
  const common = {
    timeMs: Date.now(),
    actor: 'spiffe://example.org/ns/shop/sa/web',
    target: 'shop',
    action: 'postgres:select',
    session: 'a7f3b0c1d2e4f506',
    operation,
  };
  return index % 2 === 0
    ? {
        ...common,
        kind: 'intent',
        detail: { fingerprint: 'select id, name from customers where id = ?', policies: ['web-all'] },
      }
    : { ...common, kind: 'outcome', detail: { status: 'ok', rows: 1 } };
}

export function generateSigner(): LedgerSigner {
  return createSigner('countersign.example/bench', generateKeyPairSync('ed25519').privateKey);
}
