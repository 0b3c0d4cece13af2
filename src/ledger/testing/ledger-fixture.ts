import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerEvent } from '../../model/index.ts';
import { createManualClock, createSilentLog, createSystemClock } from '../../std/index.ts';
import { formatNote, noteKeyOf } from '../../wire/tlog/index.ts';
import { createSigner, type LedgerDeps, type LedgerSigner } from '../index.ts';

// What the tests of this feature share: a folder, a key, events.

export const ORIGIN = 'countersign.example/test';

/** A signer whose key is made from a name, so that every run has the same. */
export function testSigner(seed = 'ledger'): LedgerSigner {
  const raw = Buffer.alloc(32, seed);
  const privateKey = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), raw]),
    format: 'der',
    type: 'pkcs8',
  });
  return createSigner(ORIGIN, privateKey);
}

/** A checkpoint's text, signed. */
export async function signText(text: string, seed?: string): Promise<string> {
  const signer = testSigner(seed);
  return formatNote(text, noteKeyOf(ORIGIN, signer.publicKey), await signer.sign(Buffer.from(text)));
}

/** A fresh folder and how to remove it. */
export function testDirectory(): { readonly directory: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), 'ledger-'));
  return { directory: join(parent, 'log'), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

/** Dependencies of a small ledger in `directory`, hashing inline, on a clock moved by hand. */
export function testDeps(directory: string) {
  const clock = createManualClock(1_800_000_000_000);
  const options = { segmentBytes: 128 * 1024, hashing: 'inline' } as const;
  return {
    clock,
    log: createSilentLog(),
    directory,
    origin: ORIGIN,
    signer: testSigner(),
    options,
  } satisfies LedgerDeps;
}

/** As {@link testDeps}, on the machine's clock. */
export function realDeps(directory: string) {
  return { ...testDeps(directory), clock: createSystemClock() } satisfies LedgerDeps;
}

/** An event whose fields can be set one by one. */
export function event(fields: Partial<LedgerEvent> = {}): LedgerEvent {
  return {
    kind: 'intent',
    timeMs: 1_800_000_000_000,
    actor: 'spiffe://example.org/payments',
    target: 'orders',
    action: 'postgres:select',
    session: 's1',
    operation: 'o1',
    detail: { fingerprint: 'select ? from orders', rows: 3 },
    ...fields,
  };
}

/** Intent and outcome of the operation with that number. */
export function operation(number: number): [LedgerEvent, LedgerEvent] {
  const intent = event({ operation: `o${number}` });
  return [intent, { ...intent, kind: 'outcome', detail: { status: 'ok', rows: number } }];
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;
