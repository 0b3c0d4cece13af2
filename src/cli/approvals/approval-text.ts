import type { Operations } from '@countersign/sdk/client';
import { inOneLine } from '../../model/index.ts';
import { formatDurationMs } from '../../std/index.ts';
import { formatFields, formatList } from '../terminal/table.ts';

export type ListedApproval = Operations['approval.list']['output']['items'][number];
export type ShownApproval = Operations['approval.get']['output'];

/** A line for each, as far as that has room. */
export function formatApprovals(items: readonly ListedApproval[], nowMs: number, columns: number): string {
  const rows = items.map((one) => [
    ...[one.id.slice(0, SHORT_ID), one.target, one.identity],
    ...[one.state === 'waiting' ? `${leftText(one, nowMs)} left` : stateText(one), tallyText(one)],
    `${one.title}${one.equals > 1 ? ` (${one.equals} equal ones)` : ''}`,
  ]);
  return formatList(['ID', 'TARGET', 'IDENTITY', 'STATE', 'APPROVED', 'WHAT'], rows, columns);
}

/** All that somebody sees who answers it. What a gateway or a workload wrote stands behind a bar, so that none of it passes for a line of ours. */
export function formatApproval(one: ShownApproval, nowMs: number, columns: number): string {
  const { title, text, parameters, ...others } = one.shown;
  const more = Object.entries(others).map(([name, value]): [string, string] => [
    inOneLine(name, NAME_MAX),
    inOneLine(typeof value === 'string' ? value : JSON.stringify(value), VALUE_MAX),
  ]);
  const fields: [string, string][] = [
    ['approval', one.id],
    ['what', inOneLine(String(title), VALUE_MAX)],
    ['identity', one.identity],
    ['target', one.target],
    ['session', `${one.session} at ${one.gateway}`],
    ['state', one.state === 'waiting' ? `waiting, ${leftText(one, nowMs)} left` : stateText(one)],
    ['approved', tallyText(one)],
    ...one.answers.map(({ by, answer, at, reason }): [string, string] => [
      answer === 'approve' ? 'approved by' : 'denied by',
      `${by} at ${at}${reason === undefined ? '' : `: ${reason}`}`,
    ]),
    ...(one.equals > 1 ? [['equal ones', `${one.equals} wait, this one included`] as [string, string]] : []),
    ...more,
    ['digest', one.digest],
  ];
  return [
    formatFields(fields, columns),
    ...barred('text', typeof text === 'string' ? text : ''),
    ...barred('parameters', parametersText(parameters)),
  ].join('\n');
}

function barred(name: string, text: string): string[] {
  if (text === '') return [];
  // Every break there is, also those that a terminal alone knows.
  return [`${name}:`, ...text.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/).map((line) => `  | ${line}`)];
}

function parametersText(parameters: unknown): string {
  if (!Array.isArray(parameters)) return parameters === undefined ? '' : JSON.stringify(parameters);
  return parameters
    .map((one: unknown) => {
      if (typeof one !== 'object' || one === null || !('name' in one) || !('value' in one)) return JSON.stringify(one);
      const isCut = 'cut' in one && one.cut === true;
      return `${String(one.name)} = ${JSON.stringify(one.value)}${isCut ? ' (cut)' : ''}`;
    })
    .join('\n');
}

function stateText({ state, reason }: Pick<ListedApproval, 'state' | 'reason'>): string {
  return reason === undefined ? state : `${state}: ${reason}`;
}

function tallyText({ rules }: Pick<ListedApproval, 'rules'>): string {
  return rules
    .map(({ name, count, approved }) => `${approved} of ${count ?? 'none: not declared any more'} (${name})`)
    .join(', ');
}

function leftText({ until }: Pick<ListedApproval, 'until'>, nowMs: number): string {
  return formatDurationMs(Math.max(0, Math.round((Date.parse(until) - nowMs) / 1000) * 1000));
}

const SHORT_ID = 12;
const NAME_MAX = 32;
const VALUE_MAX = 4096;
