import { parseSpiffeId } from '@countersign/sdk/identity';
import { isOneLine, isSessionId, type RevocationFacts } from '../model/index.ts';
import { sha256 } from '../std/index.ts';
import { readStrictJson } from '../wire/json/index.ts';
import { formatCanonicalJson, type JsonValue, parseCanonicalJson } from '../wire/tlog/index.ts';
import { ApprovalError } from './errors.ts';
import type { AskedHold } from './types.ts';

/** What a gateway asks, once it is known that it says what it means. */
export interface Subject {
  /** SHA-256 of its bytes, in hex. */
  readonly digest: string;
  /** The same for whatever people would answer alike: it differs in session, operation, process and time alone. */
  readonly equalKey: string;
  readonly identity: string;
  readonly target: string;
  readonly session: string;
  /** One line for lists. */
  readonly title: string;
  readonly rules: readonly string[];
  readonly untilMs: number;
  /** By which revocations find it. */
  readonly facts: RevocationFacts;
}

/** How much of it there may be. */
export const subjectLimits = {
  /** Questions name tables and columns; values are in it by digest alone. */
  subjectBytes: 64 * 1024,
  /** A text of 16 KiB, escaped, and what stands around it. */
  shownBytes: 128 * 1024,
  rules: 16,
} as const;

/**
 * Reads a question of the gateway `from`. It speaks of itself, of this trust domain, and of nothing but what is shown to people.
 * @throws ApprovalError ERR_APPROVAL_SUBJECT
 */
export function parseSubject(
  { subject, shown }: Pick<AskedHold, 'subject' | 'shown'>,
  from: { readonly trustDomain: string; readonly gateway: string },
): Subject {
  if (subject.length > subjectLimits.subjectBytes || shown.length > subjectLimits.shownBytes)
    throw bad(`has more than ${subjectLimits.subjectBytes} bytes, or shows more than ${subjectLimits.shownBytes}`);
  const told = objectOf(canonical(subject));
  if (told === undefined) throw bad('is no object');
  for (const name of Object.keys(told))
    if (!NAMES.has(name)) throw bad(`says something that is not known here: ${name}`);
  const { v, trustDomain, gateway, target, session, rules, untilMs, policySet } = told;
  if (v !== VERSION) throw bad(`is not of version ${VERSION}`);
  if (trustDomain !== from.trustDomain) throw bad('is of another trust domain');
  if (gateway !== from.gateway) throw bad(`is not that of ${from.gateway}`);
  if (typeof target !== 'string' || !TARGET.test(target)) throw bad('names no target');
  if (typeof session !== 'string' || !isSessionId(session)) throw bad('names no session');
  if (!isRules(rules)) throw bad(`names no rules, or more than ${subjectLimits.rules}`);
  if (typeof untilMs !== 'number' || untilMs < 0) throw bad('has no end');
  if (!isDigest(objectOf(policySet)?.['digest'])) throw bad('names no policy set');
  for (const name of ['content', 'parameters', 'shown'])
    if (!isDigest(told[name])) throw bad(`has no SHA-256 of its ${name}, in hex`);
  if (!Array.isArray(told['questions']) || told['questions'].length === 0) throw bad('asks nothing');
  for (const name of ['operation', 'protocol', 'shape'])
    if (typeof told[name] !== 'string') throw bad(`has no ${name}`);
  if (sha256(Buffer.from(shown)).toString('hex') !== told['shown']) throw bad('is not what would be shown');
  const title = titleOf(shown);
  const facts = factsOf(told);
  return {
    digest: sha256(Buffer.from(subject)).toString('hex'),
    equalKey: equalKeyOf(told),
    ...{ identity: facts.spiffeId, target, session, title, rules, untilMs, facts },
  };
}

/** The parts of a subject that people are told of, of bytes that were read before. */
export function readKept(bytes: Uint8Array): Readonly<Record<string, JsonValue>> {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}

function equalKeyOf(told: Readonly<Record<string, JsonValue>>): string {
  const same = Object.entries(told).filter(([name]) => !OF_ONE.has(name));
  return sha256(Buffer.from(formatCanonicalJson(Object.fromEntries(same)))).toString('hex');
}

/** @throws ApprovalError */
function canonical(bytes: Uint8Array): JsonValue {
  try {
    return parseCanonicalJson(bytes);
  } catch (cause) {
    throw bad('is no canonical JSON', cause);
  }
}

/** People are shown a title and a text; what else there is of it, they are shown as it is. @throws ApprovalError */
function titleOf(bytes: Uint8Array): string {
  let value: JsonValue;
  try {
    value = readStrictJson(Buffer.from(bytes), { depth: SHOWN_DEPTH_MAX });
  } catch (cause) {
    throw bad('shows what is no JSON', cause);
  }
  const { title, text } = objectOf(value) ?? {};
  if (typeof title !== 'string' || title === '' || title.length > TITLE_MAX || !isOneLine(title))
    throw bad(`shows no title of one line and ${TITLE_MAX} characters at most`);
  if (typeof text !== 'string') throw bad('shows no text');
  return title;
}

/** @throws ApprovalError */
function factsOf({
  identity,
  entry,
  node,
  instance,
}: Readonly<Record<string, JsonValue>>): RevocationFacts & { readonly spiffeId: string } {
  const { pid, start } = objectOf(instance ?? null) ?? {};
  const process =
    typeof pid === 'number' ? { process: { pid, ...(typeof start === 'string' ? { startTime: start } : {}) } } : {};
  return {
    spiffeId: idOf('identity', identity),
    ...(typeof entry === 'string' && entry !== '' ? { entryId: entry } : {}),
    ...(typeof node === 'string' && node !== '' ? { nodeId: idOf('node', node) } : {}),
    ...process,
  };
}

/** @throws ApprovalError */
function idOf(name: string, value: JsonValue | undefined): string {
  try {
    if (typeof value === 'string') return parseSpiffeId(value).uri;
  } catch {
    // As what is no text at all.
  }
  throw bad(`has an ${name} that is no SPIFFE ID`);
}

function isRules(value: JsonValue | undefined): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > subjectLimits.rules) return false;
  return new Set(value).size === value.length && value.every((one) => typeof one === 'string' && RULE.test(one));
}

function isDigest(value: JsonValue | undefined): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function objectOf(value: JsonValue | undefined): Readonly<Record<string, JsonValue>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, JsonValue>>; // What else JSON has was looked for.
}

function bad(what: string, cause?: unknown): ApprovalError {
  return new ApprovalError('ERR_APPROVAL_SUBJECT', `what is to be approved ${what}`, { cause });
}

const VERSION = 'countersign-approval/v1';
const TARGET = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** As names of declared resources are. */
const RULE = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NAMES: ReadonlySet<string> = new Set([
  ...['v', 'trustDomain', 'gateway', 'session', 'operation', 'identity', 'entry', 'node', 'instance', 'target'],
  ...['protocol', 'questions', 'rules', 'obligations', 'policySet', 'shape', 'content', 'parameters', 'shown'],
  ...['untilMs'],
]);
/** In which one differs from others that are the same question. */
const OF_ONE: ReadonlySet<string> = new Set(['session', 'operation', 'instance', 'untilMs']);
const TITLE_MAX = 256;
const SHOWN_DEPTH_MAX = 8;
