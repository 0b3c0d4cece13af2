/** How much a gateway may say of one of its sessions, in characters where nothing else is named; each text is one line. */
export const liveSessionLimits = {
  id: 64,
  /** Of SPIFFE IDs. */
  identity: 2048,
  /** Names: of targets, clients, executables. */
  text: 256,
  shape: 512,
  /** How many, and each so long. */
  masks: 20,
} as const;

/** An id of a session, as gateways give them. */
export function isSessionId(text: string): boolean {
  return SESSION_ID.test(text);
}

/** A text that others will read on their terminals: one line, without what would move a cursor or turn the line around. */
export function isOneLine(text: string): boolean {
  return !NOT_IN_A_LINE.test(text) && text.isWellFormed();
}

/** A text as one line of so many characters at most. */
export function inOneLine(text: string, charsMax: number): string {
  const line = text
    .slice(0, charsMax * 2)
    .toWellFormed()
    .replaceAll(NOT_IN_A_LINE_ALL, '\u{fffd}');
  return line.length > charsMax ? `${line.slice(0, charsMax - 1).toWellFormed()}…` : line;
}

/** Whether a text finds an identity: by its whole SPIFFE ID, or, where it ends in `/*`, by what stands before the asterisk. Empty: any. */
function matchesIdentity(filter: string, identity: string): boolean {
  if (filter === '') return true;
  return filter.endsWith('/*') ? identity.startsWith(filter.slice(0, -1)) : filter === identity;
}

/** By what sessions that run are found; what is empty or 0 finds all. */
export interface LiveSessionFilter {
  readonly ids: readonly string[];
  readonly identity: string;
  readonly target: string;
  readonly node: string;
  readonly olderThanMs: bigint;
}

/** Whether a filter finds a session. */
export function matchesSession(
  { ids, identity, target, node, olderThanMs }: LiveSessionFilter,
  session: Readonly<Record<'id' | 'identity' | 'target' | 'node', string>> & { readonly ageMs: number | bigint },
): boolean {
  return (
    (ids.length === 0 || ids.includes(session.id)) &&
    matchesIdentity(identity, session.identity) &&
    (target === '' || target === session.target) &&
    (node === '' || node === session.node) &&
    session.ageMs >= olderThanMs
  );
}

const SESSION_ID = /^[0-9a-f]{1,64}$/;
const NOT_IN_A_LINE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const NOT_IN_A_LINE_ALL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
