import type { LedgerWriter } from '../../ledger/index.ts';
import type { LedgerEvent } from '../../model/index.ts';
import { createSilentLog, createSystemRandom, Secret } from '../../std/index.ts';
import type { GatewayDeps } from '../gateway.ts';

/** A gateway's parts: those given, and for the rest limits that nobody meets, a ledger in memory, no log, doors at free ports. */
export function testGatewayDeps(
  given: Pick<GatewayDeps, 'clock' | 'identity' | 'protocols'> & Partial<GatewayDeps>,
): GatewayDeps {
  return {
    random: createSystemRandom(),
    log: createSilentLog(),
    ledger: createMemoryLedger(),
    secrets: { resolve: async () => Secret.fromText('secret') },
    maskKey: new Secret(Buffer.alloc(32, 7)),
    withheldKey: new Secret(Buffer.alloc(32, 8)),
    digestKey: new Secret(Buffer.alloc(32, 9)),
    listen: { host: '127.0.0.1', port: 0 },
    limits: { sessionsMax: 1_000, sessionsPerIdentityMax: 1_000 },
    durability: { reads: 'process', changes: 'release' },
    drainMs: 10_000,
    heldBytesMax: Number.MAX_SAFE_INTEGER,
    cacheBytesMax: 1 << 20,
    ...given,
  };
}

/** A ledger that takes everything, and has it on disk at once. */
export function createMemoryLedger(): LedgerWriter & { readonly events: readonly LedgerEvent[] } {
  const events: LedgerEvent[] = [];
  return {
    events,
    append: (event) => events.push(event) - 1,
    appendAll: (all) => events.push(...all) - all.length,
    synced: async () => {},
    get sequence() {
      return events.length - 1;
    },
    get syncedSequence() {
      return events.length - 1;
    },
  };
}
