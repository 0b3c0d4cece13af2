import type { Item } from '../../api/index.ts';

/** One thing that a session did, or that was refused to it: what was asked, with how it ended. */
export interface Moment {
  readonly id: string;
  readonly kind: string;
  readonly action: string;
  /** What was reached, or why it was refused. */
  readonly about: string;
  /** Milliseconds since the first. */
  readonly atMs: number;
  readonly timeMs: number;
  /** Undefined: it was refused, or has not ended yet. */
  readonly durationMs: number | undefined;
  readonly status: string | undefined;
  readonly items: number | undefined;
}

/** What a session did, oldest first: each intent with its outcome as one. `items`: entries of one session, in any order. */
export function momentsOf(items: readonly Item<'record.search'>[]): readonly Moment[] {
  const entries = items
    .map(({ log, position, entry }) => ({ id: `${log}/${position}`, entry }))
    .toSorted((a, b) => timeOf(a.entry) - timeOf(b.entry) || Number(a.entry['seq']) - Number(b.entry['seq']));
  const outcomes = new Map(
    entries.filter(({ entry }) => entry['kind'] === 'outcome').map(({ entry }) => [String(entry['operation']), entry]),
  );
  const firstMs = entries[0] === undefined ? 0 : timeOf(entries[0].entry);
  return entries
    .filter(({ entry }) => entry['kind'] !== 'outcome')
    .map(({ id, entry }) => {
      const detail = objectOf(entry['detail']);
      const outcome = entry['kind'] === 'intent' ? outcomes.get(String(entry['operation'])) : undefined;
      const ended = objectOf(outcome?.['detail']);
      const durationUs = ended['durationUs'];
      return {
        ...{ id, kind: String(entry['kind']), action: String(entry['action']), about: aboutOf(detail) },
        ...{ timeMs: timeOf(entry), atMs: timeOf(entry) - firstMs },
        durationMs: typeof durationUs === 'number' ? durationUs / 1000 : undefined,
        status: entry['kind'] === 'denial' ? 'refused' : (textOf(ended['status']) ?? textOf(detail['ended'])),
        items: typeof ended['items'] === 'number' ? ended['items'] : undefined,
      };
    });
}

function aboutOf(detail: Readonly<Record<string, unknown>>): string {
  const reason = textOf(detail['reason']);
  const questions = Array.isArray(detail['questions']) ? detail['questions'].map(objectOf) : [];
  const objects = questions.map(({ resource }) => textOf(objectOf(resource)['id'])).filter((one) => one !== undefined);
  const shape = textOf(detail['shape']);
  const what = objects.length > 0 ? [...new Set(objects)].join(', ') : shape === undefined ? '' : `shape ${shape}`;
  return reason === undefined ? what : what === '' ? reason : `${reason}: ${what}`;
}

function timeOf(entry: Readonly<Record<string, unknown>>): number {
  return Number(entry['timeMs']) || 0;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
