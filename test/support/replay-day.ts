/** A day's traffic, as the ledger of a stack's gateway has it, judged again: by the policies in force, and by others that differ in one thing. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from 'vitest';
import type { LedgerEntry } from '../../src/ledger/index.ts';
import type { Stack } from './stack.ts';

/** One change, and which operations it is about, as their entries say. */
export interface PlantedChange {
  readonly policies: readonly string[];
  readonly kind: 'denied' | 'allowed' | 'obligations';
  isMeant(operation: RecordedEntry): boolean;
}

/** An operation, or the opening of a session. */
export interface RecordedEntry {
  readonly isDenied: boolean;
  readonly questions: readonly RecordedQuestion[];
}

export interface RecordedQuestion {
  readonly action: string;
  readonly resource: { readonly id: string };
  readonly decision?: string;
  readonly policies?: readonly string[];
  readonly masks?: readonly { readonly path: readonly string[]; readonly kind: string }[];
  readonly derived?: readonly number[];
}

/** Expects no difference under the same policies, and under each of the others exactly those that are meant. Answers how many operations were judged. */
export async function expectReplays(
  stack: Stack,
  policies: readonly string[],
  changes: Readonly<Record<string, PlantedChange>>,
): Promise<{ readonly judged: number; readonly cut: number }> {
  // One file of the ledger: what comes meanwhile is in neither.
  const untilMs = Date.now();
  const same = await replay(stack, 'same', { policies, untilMs });
  expect(same).toMatchObject({ differences: [] });
  const entries = (await stack.ledger()).filter(({ timeMs }) => timeMs <= untilMs).flatMap(recordedIn);
  for (const [name, change] of Object.entries(changes)) {
    const { differences, judged } = await replay(stack, name, { policies: change.policies, untilMs });
    expect({ name, judged }).toEqual({ name, judged: same.judged });
    expect({ name, kinds: [...new Set(differences.map(({ kind }) => kind))] }).toEqual({ name, kinds: [change.kind] });
    const count = differences.reduce((sum, one) => sum + one.count, 0);
    expect({ name, count }).toEqual({ name, count: entries.filter((entry) => change.isMeant(entry)).length });
  }
  return same;
}

interface Replayed {
  readonly judged: number;
  readonly cut: number;
  readonly differences: readonly { readonly kind: string; readonly count: number }[];
}

async function replay(
  stack: Stack,
  name: string,
  { policies, untilMs }: { policies: readonly string[]; untilMs: number },
): Promise<Replayed> {
  const file = path.join(stack.folder.path, `replay-${name}.cedar`);
  fs.writeFileSync(file, policies.join('\n'), { mode: 0o644 });
  const until = new Date(untilMs).toISOString();
  const { code, stdout, stderr } = await stack.cli(['policy', 'replay', file, '--until', until, '--json'], {
    user: stack.users.gateway,
  });
  expect(code, stderr).toBeLessThan(2);
  return JSON.parse(stdout);
}

/** Those that say all that was asked. */
function recordedIn({ kind, detail }: LedgerEntry): RecordedEntry[] {
  const { questions, questionsCut } = detail;
  if (!['intent', 'denial', 'session-open'].includes(kind) || !Array.isArray(questions) || questionsCut !== undefined)
    return [];
  // As docs/reference/ledger.md has them.
  const all = questions as unknown as readonly (RecordedQuestion & { readonly cut?: boolean })[];
  return all.some(({ cut }) => cut === true) ? [] : [{ isDenied: kind === 'denial', questions: all }];
}
