import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { isOneLine } from './live-session.ts';

/** Whose credentials a revocation is about. */
export type RevocationSubject =
  /** Every credential of that SPIFFE ID. */
  | { readonly kind: 'identity'; readonly spiffeId: string }
  /** What that entry gives; where nobody can tell by which entry a credential was given, every credential of its SPIFFE ID. */
  | { readonly kind: 'entry'; readonly entryId: string; readonly spiffeId: string }
  /** The node, by its SPIFFE ID, and whatever comes through its agent. */
  | { readonly kind: 'node'; readonly nodeId: string }
  /** One process of a node. `startTime`: when it was started, as its agent writes it. */
  | { readonly kind: 'instance'; readonly nodeId: string; readonly pid: number; readonly startTime: string }
  /** Every certificate of one public key: SHA-256 of its PKIX DER (SubjectPublicKeyInfo), 64 hex digits in small letters. */
  | { readonly kind: 'key'; readonly thumbprint: string }
  /** Every identity that has an entry with that label, or has had one since: see `members`. */
  | { readonly kind: 'label'; readonly name: string; readonly value: string }
  /** Somebody, as an issuer says it: their sign-ins at servers. */
  | { readonly kind: 'person'; readonly issuer: string; readonly subject: string };

/** `revoked`: nothing is signed, and every use is refused. `quarantined`: no new session but what `allow` names. */
export type RevocationMode = 'revoked' | 'quarantined';

/** That the credentials of a subject don't count, whenever they were issued: no times are compared while it stands. */
export interface Revocation {
  readonly id: string;
  readonly subject: RevocationSubject;
  readonly mode: RevocationMode;
  /** Actions of policies that go on all the same; of a quarantine only. */
  readonly allow: readonly string[];
  /** What becomes of sessions that run. */
  readonly running: 'end' | 'keep';
  /** Of a label: SPIFFE IDs of all identities that have had an entry with it since, in the order in which they came. They stay until it is lifted. */
  readonly members?: readonly string[];
  /** One line; may be empty. */
  readonly reason: string;
  /** Who did it, as ledgers name them. */
  readonly by: string;
  /** That of the state that it came with; 1 or more. */
  readonly sequence: number;
  /** Epoch milliseconds by the clock of the server that took it. */
  readonly atMs: number;
}

/** All that stand. Of two states of one incarnation the one with the higher sequence holds. */
export interface RevocationState {
  /** Made anew with each store, and when an operator says that a store was put back: 32 hex digits. */
  readonly incarnation: string;
  /** Rises by one with each that comes or is lifted; 0 in the beginning. */
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly issuedAtMs: number;
  /** Random, made with the change that brought the sequence: two stores that went on differently from one backup differ in it. 32 hex digits; empty at 0. */
  readonly mark: string;
  /** By sequence. */
  readonly revocations: readonly Revocation[];
}

/** How much there may be, in characters where nothing else is named. */
export const revocationLimits = {
  id: 64,
  identity: 2048,
  entryId: 255,
  startTime: 64,
  label: 256,
  person: 512,
  action: 128,
  /** How many actions of one. */
  actions: 16,
  reason: 200,
  by: 2048,
  /** How many stand at once, and how many bytes all of them have as they are told to verifiers. */
  standing: 10_000,
  bytes: 2 * 1024 * 1024,
} as const;

/** Why a value is no revocation: says which part and what is allowed. */
export class InvalidRevocation extends Error {}

/**
 * Checks a subject from outside; other members are refused.
 * @throws InvalidRevocation
 */
export function parseRevocationSubject(value: unknown): RevocationSubject {
  const given = record(value, 'a subject');
  const { kind } = given;
  switch (kind) {
    case 'identity':
      only(given, ['kind', 'spiffeId']);
      return { kind, spiffeId: spiffeIdIn(given, 'spiffeId') };
    case 'entry':
      only(given, ['kind', 'entryId', 'spiffeId']);
      return {
        ...{ kind, entryId: lineIn(given, 'entryId', revocationLimits.entryId) },
        spiffeId: spiffeIdIn(given, 'spiffeId'),
      };
    case 'node':
      only(given, ['kind', 'nodeId']);
      return { kind, nodeId: spiffeIdIn(given, 'nodeId') };
    case 'instance':
      only(given, ['kind', 'nodeId', 'pid', 'startTime']);
      return {
        ...{ kind, nodeId: spiffeIdIn(given, 'nodeId'), pid: numberIn(given, 'pid', PID_MAX) },
        startTime: lineIn(given, 'startTime', revocationLimits.startTime),
      };
    case 'key': {
      only(given, ['kind', 'thumbprint']);
      const { thumbprint } = given;
      if (typeof thumbprint !== 'string' || !THUMBPRINT.test(thumbprint))
        throw new InvalidRevocation('the thumbprint of a key is its SHA-256: 64 hex digits in small letters');
      return { kind, thumbprint };
    }
    case 'label':
      only(given, ['kind', 'name', 'value']);
      return {
        ...{ kind, name: lineIn(given, 'name', revocationLimits.label) },
        value: lineIn(given, 'value', revocationLimits.label, 0),
      };
    case 'person':
      only(given, ['kind', 'issuer', 'subject']);
      return {
        ...{ kind, issuer: lineIn(given, 'issuer', revocationLimits.identity) },
        subject: lineIn(given, 'subject', revocationLimits.person),
      };
    default:
      throw new InvalidRevocation('a subject is an identity, entry, node, instance, key, label or person');
  }
}

/**
 * Checks a revocation from outside; other members are refused.
 * @throws InvalidRevocation
 */
export function parseRevocation(value: unknown): Revocation {
  const given = record(value, 'a revocation');
  only(given, ['id', 'subject', 'mode', 'allow', 'running', 'members', 'reason', 'by', 'sequence', 'atMs']);
  const { mode, running } = given;
  if (mode !== 'revoked' && mode !== 'quarantined')
    throw new InvalidRevocation('the mode is either revoked or quarantined');
  if (running !== 'end' && running !== 'keep') throw new InvalidRevocation('sessions that run either end or are kept');
  const sequence = numberIn(given, 'sequence', Number.MAX_SAFE_INTEGER);
  if (sequence === 0) throw new InvalidRevocation('the sequence of a revocation is 1 or more');
  const subject = parseRevocationSubject(given['subject']);
  const { members } = given;
  if (members !== undefined && subject.kind !== 'label') throw new InvalidRevocation('only a label has members');
  return {
    id: lineIn(given, 'id', revocationLimits.id),
    subject,
    ...(members === undefined ? {} : { members: parseRevocationMembers(members) }),
    ...{ mode, allow: parseRevocationActions(given['allow'], mode), running },
    reason: lineIn(given, 'reason', revocationLimits.reason, 0),
    by: lineIn(given, 'by', revocationLimits.by, 0),
    ...{ sequence, atMs: numberIn(given, 'atMs', Number.MAX_SAFE_INTEGER) },
  };
}

/** Checks the actions that a quarantine lets pass; in order, each once. @throws InvalidRevocation */
export function parseRevocationActions(value: unknown, mode: RevocationMode): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidRevocation('allow is a list of actions');
  if (mode === 'revoked' && value.length > 0) throw new InvalidRevocation('only a quarantine lets actions pass');
  if (value.length > revocationLimits.actions)
    throw new InvalidRevocation(`${revocationLimits.actions} actions are allowed at most`);
  for (const action of value)
    if (typeof action !== 'string' || action.length > revocationLimits.action || !ACTION.test(action))
      throw new InvalidRevocation('an action is named as policies do, such as postgres:select');
  return [...new Set(value as string[])].sort(); // Each was just seen to be one.
}

/** Checks the identities that belong to a label; each once, in their order. @throws InvalidRevocation */
export function parseRevocationMembers(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidRevocation('members is a list of SPIFFE IDs');
  const members = value.map((uri: unknown) => spiffeIdIn({ member: uri }, 'member'));
  if (new Set(members).size < members.length) throw new InvalidRevocation('a member is there once');
  return members;
}

/** One text for equal subjects, and for equal ones only. */
export function revocationSubjectKey(subject: RevocationSubject): string {
  return JSON.stringify(partsOf(subject));
}

/** A subject for people: its kind and what names it. */
export function formatRevocationSubject(subject: RevocationSubject): string {
  switch (subject.kind) {
    case 'identity':
      return `identity ${subject.spiffeId}`;
    case 'entry':
      return `entry ${subject.entryId} (${subject.spiffeId})`;
    case 'node':
      return `node ${subject.nodeId}`;
    case 'instance':
      return `process ${subject.pid} of ${subject.nodeId}, started ${subject.startTime}`;
    case 'key':
      return `key ${subject.thumbprint}`;
    case 'label':
      return `label ${subject.name}=${subject.value}`;
    case 'person':
      return `person ${subject.issuer}#${subject.subject}`;
    default:
      return subject satisfies never;
  }
}

/** One of one kind says what another of that kind would say in another place: so the parts stand in order. */
function partsOf(subject: RevocationSubject): readonly (string | number)[] {
  switch (subject.kind) {
    case 'identity':
      return [subject.kind, subject.spiffeId];
    case 'entry':
      return [subject.kind, subject.entryId, subject.spiffeId];
    case 'node':
      return [subject.kind, subject.nodeId];
    case 'instance':
      return [subject.kind, subject.nodeId, subject.pid, subject.startTime];
    case 'key':
      return [subject.kind, subject.thumbprint];
    case 'label':
      return [subject.kind, subject.name, subject.value];
    case 'person':
      return [subject.kind, subject.issuer, subject.subject];
    default:
      return subject satisfies never;
  }
}

type Given = Readonly<Record<string, unknown>>;

function record(value: unknown, what: string): Given {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidRevocation(`${what} is an object`);
  return value as Given; // Just seen; its members are unknown still.
}

function only(given: Given, names: readonly string[]): void {
  for (const name of Object.keys(given))
    if (!names.includes(name)) throw new InvalidRevocation('it has a member that nobody knows');
}

function spiffeIdIn(given: Given, name: string): string {
  const text = lineIn(given, name, revocationLimits.identity);
  try {
    parseSpiffeId(text);
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new InvalidRevocation(`${name} is a SPIFFE ID: ${cause.message}`, { cause });
  }
  return text;
}

function lineIn(given: Given, name: string, charsMax: number, charsMin = 1): string {
  const text = given[name];
  if (typeof text !== 'string' || text.length < charsMin || text.length > charsMax || !isOneLine(text))
    throw new InvalidRevocation(`${name} is one line of ${charsMin} to ${charsMax} characters`);
  return text;
}

function numberIn(given: Given, name: string, most: number): number {
  const number = given[name];
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0 || number > most)
    throw new InvalidRevocation(`${name} is a whole number from 0 to ${most}`);
  return number;
}

const THUMBPRINT = /^[0-9a-f]{64}$/;
const ACTION = /^[A-Za-z][A-Za-z0-9_-]*(?::[A-Za-z0-9_-]+)+$/;
const PID_MAX = 2 ** 31 - 1;
