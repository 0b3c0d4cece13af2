import type { Item } from '../../api/index.ts';
import type { Tone } from '../../ui/index.ts';

/** One entry, with its place in the record. */
export type RecordItem = Item<'record.search'>;

/** What all entries have, read from one: writers of later versions may have written more, and anything may be missing. */
export interface EntryView {
  readonly timeMs: number | undefined;
  readonly kind: string;
  readonly actor: string;
  readonly target: string;
  readonly action: string;
  readonly session: string | undefined;
  readonly operation: string | undefined;
  readonly reason: string | undefined;
  readonly status: string | undefined;
  readonly shape: string | undefined;
  readonly code: string | undefined;
  readonly items: number | undefined;
  readonly bytesOut: number | undefined;
  readonly durationMs: number | undefined;
  readonly policies: readonly string[];
  /** What was reached, `table: columns`. */
  readonly objects: readonly string[];
  readonly masks: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

export function viewOf({ entry }: Pick<RecordItem, 'entry'>): EntryView {
  const detail = isObject(entry['detail']) ? entry['detail'] : {};
  const questions = Array.isArray(detail['questions']) ? detail['questions'].filter(isObject) : [];
  const durationUs = number(detail['durationUs']);
  return {
    timeMs: number(entry['timeMs']),
    ...{
      kind: text(entry['kind']) ?? '?',
      actor: text(entry['actor']) ?? '',
      target: text(entry['target']) ?? '',
      action: text(entry['action']) ?? '',
    },
    ...{ session: text(entry['session']), operation: text(entry['operation']) },
    ...{
      reason: text(detail['reason']),
      status: text(detail['status']),
      shape: text(detail['shape']),
      code: text(detail['code']),
    },
    ...{ items: number(detail['items']), bytesOut: number(detail['bytesOut']) },
    durationMs: durationUs === undefined ? number(detail['durationMs']) : durationUs / 1000,
    policies: texts(detail['policies']),
    objects: [...new Set(questions.flatMap(objectOf))],
    masks: [
      ...new Set(
        questions.flatMap((question) => (Array.isArray(question['masks']) ? question['masks'] : []).map(maskText)),
      ),
    ],
    detail,
  };
}

/** What it was about in a few words. */
export function summaryOf(view: EntryView): string {
  const { shape, objects, reason, status, kind, detail } = view;
  if (objects.length > 0) return objects.join(', ');
  if (reason !== undefined) return reason;
  if (shape !== undefined) return `shape ${shape}`;
  if (status !== undefined) return status;
  return text(detail['endpoint']) ?? text(detail['ended']) ?? text(detail['found']) ?? kind;
}

/** How it ended, as a word and a tone. */
export function outcomeOf({
  kind,
  status,
  reason,
  detail,
}: EntryView): readonly [word: string, tone: Tone] | undefined {
  if (kind === 'denial') return [reason ?? 'denied', 'danger'];
  if (status !== undefined)
    return [status, status === 'done' ? 'good' : status === 'failed' || status === 'over-limit' ? 'danger' : 'warn'];
  if (detail['step'] === 'failed') return ['failed', 'danger'];
  return undefined;
}

export const KIND_TONES: Readonly<Record<string, Tone>> = {
  denial: 'danger',
  admin: 'warn',
  ledger: 'plain',
  'session-open': 'accent',
  'session-close': 'accent',
};

/** `1/42`. */
export function idOf({ log, position }: Pick<RecordItem, 'log' | 'position'>): string {
  return `${log}/${position}`;
}

export function parseId(id: string): { readonly log: number; readonly position: number } | undefined {
  const [, log, position] = /^([1-9]\d{0,8})\/(\d{1,15})$/.exec(id) ?? [];
  return log === undefined ? undefined : { log: Number(log), position: Number(position) };
}

function objectOf(question: Readonly<Record<string, unknown>>): readonly string[] {
  const { resource, context } = question;
  const id = isObject(resource) ? text(resource['id']) : undefined;
  if (id === undefined) return [];
  const columns = isObject(context) ? texts(context['columns']) : [];
  return [columns.length === 0 ? id : `${id}: ${columns.join(', ')}`];
}

function maskText(mask: unknown): string {
  if (!isObject(mask)) return String(mask);
  return Object.values(mask)
    .filter((one) => typeof one === 'string')
    .join(' ');
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
