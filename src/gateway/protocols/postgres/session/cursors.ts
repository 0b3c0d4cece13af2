// One space of names: the server reaches cursors declared in SQL by the protocol, and the protocol's portals by SQL.

import type { DeclaredCursor, Forward, SessionFacts, StatementPlan } from '../sql/index.ts';
import type { Conversation } from './conversation.ts';
import type { Meanings, Portal } from './replies.ts';

/** The facts for planning that text: with the portals, when it may read one. None of their names may be in flight. */
export function factsWithPortals({ portals }: Conversation, text: string, facts: SessionFacts): SessionFacts {
  if (portals.confirmedOnes.size === 0 || !mayReadCursor(text)) return facts;
  const cursors = new Map(facts.cursors);
  for (const [name, { prepared, searchPath }] of portals.confirmedOnes) {
    const statement = prepared.plan.prepared;
    if (name !== '' && statement !== undefined)
      cursors.set(name, { prepared: statement, searchPath, isHeld: false, isPortal: true });
  }
  return { ...facts, cursors };
}

/** FETCH and MOVE, and EXECUTE, which may run one of these. */
export function mayReadCursor(text: string): boolean {
  return /fetch|move|execute/i.test(text);
}

/** What the names mean now by which that plan reads; `'wait'` when only the replies to come can tell. */
export function meaningsOf(session: Conversation, { statements }: Forward): Meanings | 'wait' {
  const { cursor, prepared } = statements[0]?.reads ?? {};
  if (cursor === undefined && prepared === undefined) return NOTHING;
  if (cursor !== undefined && session.portals.namedInFlight) return 'wait';
  if (prepared !== undefined && session.statements.namedInFlight) return 'wait';
  return {
    cursor: cursor && cursorOf(session, cursor.name),
    prepared: prepared === undefined ? undefined : session.facts.prepared.get(prepared),
    searchPath: prepared === undefined ? undefined : session.facts.searchPath,
  };
}

export function areSameMeanings(a: Meanings, b: Meanings): boolean {
  return a.cursor === b.cursor && a.prepared === b.prepared && a.searchPath === b.searchPath;
}

/** The portal whose rows that statement reads. */
export function portalReadBy({ portals }: Conversation, { reads }: StatementPlan): Portal | undefined {
  return reads?.cursor?.isPortal === true ? portals.confirmedOnes.get(reads.cursor.name) : undefined;
}

function cursorOf({ portals, facts }: Conversation, name: string): Portal | DeclaredCursor | undefined {
  return portals.confirmedOnes.get(name) ?? facts.cursors.get(name);
}

const NOTHING: Meanings = { cursor: undefined, prepared: undefined, searchPath: undefined };
