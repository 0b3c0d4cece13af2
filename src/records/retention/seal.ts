import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { LedgerEntry } from '../../ledger/index.ts';
import { type Random, sha256 } from '../../std/index.ts';
import type { RecordsTables } from '../migrations.ts';
import { createMatcher, lookAt, type RecordFilter } from '../search/filter.ts';

/** Which entries lie sealed in the store, and what has one key. The first that an entry is of counts. */
export interface SealRule {
  readonly name: string;
  readonly filter: RecordFilter;
  /** `session`: a key for each session; what is of none goes by day. `day`: one for each day (UTC) on which entries came. */
  readonly by: 'session' | 'day';
}

/** Says by the name of which key an entry that comes at that moment is sealed; undefined: it is not. */
export type SealName = (entry: LedgerEntry, nowMs: number) => string | undefined;

export function createSealName(rules: readonly SealRule[]): SealName {
  const matchers = rules.map((rule) => ({ rule, matches: createMatcher(rule.filter) }));
  if (matchers.length === 0) return () => undefined;
  return (entry, nowMs) => {
    const looked = lookAt(entry);
    const found = matchers.find(({ rule, matches }) => rule.filter.log === undefined && matches(looked))?.rule;
    if (found === undefined) return undefined;
    // The name of a session is content, too, once its key is gone.
    if (found.by === 'session' && entry.session !== '')
      return `${found.name}/session/${sha256(Buffer.from(entry.session)).toString('hex')}`;
    return `${found.name}/day/${new Date(nowMs).toISOString().slice(0, 10)}`;
  };
}

/** The keys of those names, made where there are none. In the transaction of the entries: no key without, and none destroyed meanwhile. */
export async function ensureKeys(
  trx: Kysely<RecordsTables>,
  names: readonly string[],
  { random, nowMs }: { readonly random: Random; readonly nowMs: number },
): Promise<ReadonlyMap<string, SealKey>> {
  const read = async () => {
    const rows = await trx.selectFrom('records_keys').selectAll().where('name', 'in', names).execute();
    return new Map(rows.map(({ name, id, key }) => [name, { id, key }]));
  };
  const known = await read();
  const missing = names.filter((name) => !known.has(name));
  if (missing.length === 0) return known;
  await trx
    .insertInto('records_keys')
    .values(
      missing.map((name) => ({
        ...{ id: random.bytes(6).readUIntBE(0, 6), name, key: random.bytes(KEY_BYTES), made_ms: nowMs },
      })),
    )
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return read();
}

export interface SealKey {
  readonly id: number;
  readonly key: Buffer;
}

/** Where an entry lies: what was sealed for one place is opened at no other. */
interface SealedPlace {
  readonly log: number;
  readonly position: number;
}

/** AES-256-GCM under a nonce of 96 bits: nonce, ciphertext, tag. @see NIST SP 800-38D */
export function sealBytes(bytes: Buffer, key: Buffer, at: SealedPlace & { readonly random: Random }): Buffer {
  const nonce = at.random.bytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(placeBytes(at));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** What {@link sealBytes} has sealed. Throws for what was changed, or put elsewhere, in the store. */
export function openSealed(sealed: Buffer, key: Buffer, at: SealedPlace): Buffer {
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(placeBytes(at)).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), decipher.final()]);
}

function placeBytes({ log, position }: SealedPlace): Buffer {
  return Buffer.from(`countersign record entry ${log}/${position}`);
}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
