import {
  InvalidRevocation,
  type JwtAuthority,
  parseRevocation,
  parseRevocationMembers,
  type Revocation,
  type RevocationState,
  revocationLimits,
} from '../../model/index.ts';
import { sha256 } from '../../std/index.ts';
import { type StatementReason, verifyStatement } from '../jose/index.ts';
import { JsonError, type JsonValue, readStrictJson } from '../json/index.ts';
import { type RevocationUpdate, revocationFeed } from './format-update.ts';

/**
 * Why a message is not taken. `other-stream`: it was made for another call, or is not the next of this one. `rolled-back`: its state is older than the
 * known one, or does not come from it. `other-incarnation`: it is of a store that is not known to follow the known one.
 */
export type RevocationFeedReason =
  | StatementReason
  | 'bad-claims'
  | 'bad-body'
  | 'other-stream'
  | 'rolled-back'
  | 'other-incarnation';

export type RevocationFeedResult =
  | {
      readonly ok: true;
      /** What stands from now on. */
      readonly state: RevocationState;
      /** Nothing but the time has changed. */
      readonly isHeartbeat: boolean;
    }
  | { readonly ok: false; readonly reason: RevocationFeedReason };

export interface VerifyUpdateOptions extends RevocationUpdate {
  readonly trustDomain: string;
  /** JWT authorities of the own trust domain's bundle. */
  readonly authorities: readonly JwtAuthority[];
  readonly nowMs: number;
  /** What was sent when the stream was opened. */
  readonly nonce: Uint8Array;
  /** How many messages of this stream came before it. */
  readonly count: number;
  /** The state that was taken last, from whichever server and on whichever stream, be it before a restart; undefined: none ever. */
  readonly known: RevocationState | undefined;
}

/**
 * Verifies one message of the feed and applies it to what is known. Nothing of a message that is not taken counts, its time included. Never throws for
 * what a message says. Messages that are taken say that the server was there when the stream was opened, or later: freshness goes by the
 * verifier's own clock since then.
 */
export function verifyRevocationUpdate(options: VerifyUpdateOptions): RevocationFeedResult {
  const { body, statement: token } = options;
  if (body.length > revocationFeed.bodyBytesMax) return { ok: false, reason: 'bad-body' };
  const verified = verifyStatement({ ...options, token, type: revocationFeed.type });
  if (!verified.ok) return verified;
  const told = parseClaims(verified.claims, options.trustDomain);
  if (told === undefined) return { ok: false, reason: 'bad-claims' };
  if (told.nonce !== Buffer.from(options.nonce).toString('base64url') || told.count !== options.count)
    return { ok: false, reason: 'other-stream' };
  if (sha256(body).toString('hex') !== told.sha256) return { ok: false, reason: 'bad-body' };
  const fault = historyFault(told, options.known);
  if (fault !== undefined) return { ok: false, reason: fault };
  const revocations = applyBody(told, body, options.known);
  if (revocations === undefined) return { ok: false, reason: 'bad-body' };
  const { incarnation, sequence, mark, issuedAtMs } = told;
  const isHeartbeat = options.known?.incarnation === incarnation && options.known.sequence === sequence;
  return { ok: true, state: { incarnation, sequence, mark, issuedAtMs, revocations }, isHeartbeat };
}

interface Claims {
  readonly issuedAtMs: number;
  readonly incarnation: string;
  readonly follows: readonly string[];
  readonly sequence: number;
  readonly mark: string;
  readonly kind: 'full' | 'delta';
  readonly fromSequence: number;
  readonly fromMark: string;
  readonly nonce: string;
  readonly count: number;
  readonly sha256: string;
}

function parseClaims(claims: { readonly [name: string]: JsonValue }, trustDomain: string): Claims | undefined {
  const { iss, aud, issuedAtMs, incarnation, follows, sequence, mark, kind, fromSequence, fromMark } = claims;
  const { nonce, count, sha256: digest } = claims;
  if (iss !== `spiffe://${trustDomain}` || aud !== revocationFeed.audience) return undefined;
  if (!isCount(issuedAtMs) || !isCount(sequence) || !isCount(fromSequence) || !isCount(count)) return undefined;
  if (!isRandom(incarnation) || !isMark(mark, sequence) || !isMark(fromMark, fromSequence)) return undefined;
  if (!Array.isArray(follows) || follows.length > revocationFeed.followsMax || !follows.every(isRandom))
    return undefined;
  if (kind !== 'full' && kind !== 'delta') return undefined;
  if (typeof nonce !== 'string' || typeof digest !== 'string') return undefined;
  return {
    ...{ issuedAtMs, incarnation, follows, sequence, mark, kind, fromSequence, fromMark, nonce, count },
    sha256: digest,
  };
}

/** Whether what is told goes on from what is known. */
function historyFault(told: Claims, known: RevocationState | undefined): RevocationFeedReason | undefined {
  if (known === undefined) return told.kind === 'full' ? undefined : 'bad-claims';
  if (told.incarnation !== known.incarnation) {
    // By an operator's order it takes the place of the known one, whose sequences count no more.
    return told.kind === 'full' && told.follows.includes(known.incarnation) ? undefined : 'other-incarnation';
  }
  if (told.sequence < known.sequence) return 'rolled-back';
  // Whoever signs it has found the known state in its own history, so the one has come from the other.
  if (told.fromSequence !== known.sequence || told.fromMark !== known.mark) return 'rolled-back';
  return told.sequence === known.sequence && told.mark !== known.mark ? 'rolled-back' : undefined;
}

/** What stands then, by sequence; undefined for what can not be. */
function applyBody(
  told: Claims,
  body: Uint8Array,
  known: RevocationState | undefined,
): readonly Revocation[] | undefined {
  const given = parseBody(body);
  if (given === undefined) return undefined;
  if (told.kind === 'full') {
    const revocations = revocationsIn(given, ['revocations']);
    return revocations && inOrder([...revocations], told.sequence);
  }
  const { joined = [], ...others } = given;
  const { lifted } = others;
  const added = revocationsIn(others, ['added', 'lifted']);
  if (added === undefined || known === undefined || !Array.isArray(lifted) || !Array.isArray(joined)) return undefined;
  const stay = new Map(known.revocations.map((one) => [one.id, one]));
  for (const id of lifted) if (typeof id !== 'string' || !stay.delete(id)) return undefined;
  for (const one of added) if (one.sequence <= known.sequence) return undefined;
  // Each change has a sequence of its own, and one that came and went in between is not told.
  if (added.length + lifted.length + joined.length > told.sequence - known.sequence) return undefined;
  for (const one of joined) if (!join(stay, one)) return undefined;
  return inOrder([...stay.values(), ...added], told.sequence);
}

/** Adds members to one that stays. False: it can't be. */
function join(stay: Map<string, Revocation>, value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { id, members, ...others } = value as { readonly [name: string]: JsonValue }; // No list, as just seen.
  const before = typeof id === 'string' ? stay.get(id) : undefined;
  if (before === undefined || Object.keys(others).length > 0) return false;
  try {
    const all = [...(before.members ?? []), ...parseRevocationMembers(members)];
    stay.set(before.id, parseRevocation({ ...before, members: all }));
    return true;
  } catch (error) {
    if (error instanceof InvalidRevocation) return false;
    throw error;
  }
}

function parseBody(body: Uint8Array): { readonly [name: string]: JsonValue } | undefined {
  try {
    const value = readStrictJson(Buffer.from(body), { depth: 8, foldsNames: false });
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as { readonly [name: string]: JsonValue }) // No list, as just seen.
      : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** The revocations under the first of the names, which are all that there may be. */
function revocationsIn(
  given: { readonly [name: string]: JsonValue },
  names: readonly [string, ...string[]],
): readonly Revocation[] | undefined {
  const listed = given[names[0]];
  if (Object.keys(given).length !== names.length || !Array.isArray(listed)) return undefined;
  if (listed.length > revocationLimits.standing) return undefined;
  try {
    return listed.map(parseRevocation);
  } catch (error) {
    if (error instanceof InvalidRevocation) return undefined;
    throw error;
  }
}

/** Each id and each sequence once, none beyond that of the state. */
function inOrder(revocations: Revocation[], sequence: number): readonly Revocation[] | undefined {
  revocations.sort((one, other) => one.sequence - other.sequence);
  const isSound = revocations.every((one, index) => one.sequence > (revocations[index - 1]?.sequence ?? 0));
  const isBeyond = (revocations.at(-1)?.sequence ?? 0) > sequence;
  if (!isSound || isBeyond || revocations.length > revocationLimits.standing) return undefined;
  return new Set(revocations.map(({ id }) => id)).size === revocations.length ? revocations : undefined;
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isRandom(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && RANDOM.test(value);
}

function isMark(value: JsonValue | undefined, sequence: number): value is string {
  return sequence === 0 ? value === '' : isRandom(value);
}

const RANDOM = /^[0-9a-f]{32}$/;
