import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useMemo, useState } from 'react';
import { type Output, problemOf, useCall } from '../../api/index.ts';
import { currentMs, EmptyState, ErrorPanel, formatCount, Loading, Mono, Panel, plural } from '../../ui/index.ts';

const BarChart = lazy(async () => ({ default: (await import('../../ui/chart/index.ts')).BarChart }));

/** What was refused in the last hour: when, to whom, and why. */
export function DenialsPanel() {
  const [sinceMs, setSinceMs] = useState(() => currentMs() - HOUR_MS);
  const { data, error, isPending, refetch } = useCall(
    'record.search',
    { kind: 'denial', sinceMs, limit: LIMIT },
    { everyMs: 15_000 },
  );
  const groups = useMemo(() => groupsOf(data?.items ?? []), [data]);
  const bars = useMemo(() => barsOf(data?.items ?? [], sinceMs), [data, sinceMs]);
  const count = data?.items.length ?? 0;
  const isCut = data?.next !== undefined;
  return (
    <Panel
      title="Denials since an hour ago"
      actions={
        <button
          type="button"
          className="text-xs text-accent underline"
          onClick={() => setSinceMs(currentMs() - HOUR_MS)}
        >
          Look anew
        </button>
      }
    >
      {error === null ? null : <ErrorPanel problem={problemOf(error)} onRetry={() => void refetch()} />}
      {isPending && error === null ? <Loading rows={3} /> : null}
      {data === undefined ? null : count === 0 ? (
        <EmptyState title="Nothing was refused." command="countersign who-can ACTION TARGET">
          Who may do what is asked so:
        </EmptyState>
      ) : (
        <>
          <Suspense fallback={<div className="h-[150px]" />}>
            <BarChart bars={bars} label={`${plural(count, 'denial')} since an hour ago`} />
          </Suspense>
          <ul className="pt-2 text-sm">
            {groups.slice(0, 6).map(([key, { actor, reason, times }]) => (
              <li key={key}>
                <Link
                  to="/record"
                  search={{ kind: 'denial', identity: actor, reason, since: '1h' } as never}
                  className="flex gap-2 rounded px-1 hover:bg-hover"
                >
                  <span className="min-w-0 grow">
                    <Mono>{`${actor.replace(/^spiffe:\/\/[^/]+(?=\/)/, '')} · ${reason}`}</Mono>
                  </span>
                  <span className="tabular-nums">{formatCount(times)}</span>
                </Link>
              </li>
            ))}
          </ul>
          {isCut ? <p className="pt-1 text-xs text-soft">Only the newest {formatCount(count)} are counted.</p> : null}
        </>
      )}
    </Panel>
  );
}

type Items = Output<'record.search'>['items'];

function groupsOf(items: Items) {
  const groups = new Map<string, { actor: string; reason: string; times: number }>();
  for (const { entry } of items) {
    const detail = entry['detail'];
    const reason = typeof detail === 'object' && detail !== null && 'reason' in detail ? String(detail.reason) : '';
    const actor = String(entry['actor']);
    const key = `${actor} ${reason}`;
    const group = groups.get(key) ?? { actor, reason, times: 0 };
    group.times++;
    groups.set(key, group);
  }
  return [...groups].toSorted((a, b) => b[1].times - a[1].times);
}

function barsOf(items: Items, sinceMs: number): readonly (readonly [number, number])[] {
  const firstMs = Math.floor(sinceMs / BAR_MS) * BAR_MS;
  const counts = Array.from({ length: Math.ceil(HOUR_MS / BAR_MS) + 1 }, () => 0);
  for (const { entry } of items) {
    const at = Math.floor((Number(entry['timeMs']) - firstMs) / BAR_MS);
    if (counts[at] !== undefined) counts[at]++;
  }
  return counts.map((count, at) => [firstMs + at * BAR_MS, count] as const);
}

const HOUR_MS = 3_600_000;
const BAR_MS = 120_000;
const LIMIT = 1000;
