import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ComponentType, useMemo } from 'react';
import { keyOf, problemOf, useCall, useLive } from '../../api/index.ts';
import {
  EmptyState,
  ErrorPanel,
  formatCount,
  LiveMark,
  Loading,
  Mono,
  PageFrame,
  Panel,
  plural,
} from '../../ui/index.ts';
import { DenialsPanel } from './denials-panel.tsx';

/** Each feature says by its `attention.tsx` what somebody should look at. */
const found = import.meta.glob<{ readonly Attention: ComponentType }>('../../features/*/attention.tsx', {
  eager: true,
});
const attentions = Object.entries(found).map(([path, { Attention }]) => ({ path, Attention }));

/** What needs somebody now, and what goes on. */
export function Page() {
  return (
    <PageFrame title="Overview">
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <div className="min-w-0 lg:col-span-2">
          <NeedsYou />
        </div>
        <Running />
        <DenialsPanel />
      </div>
    </PageFrame>
  );
}

function NeedsYou() {
  return (
    <section aria-label="What needs you now" className="group rounded-lg border border-line bg-surface">
      <h2 className="border-b border-line px-4 py-2 text-sm">What needs you now</h2>
      <ul className="divide-y divide-line">
        {attentions.map(({ path, Attention }) => (
          <Attention key={path} />
        ))}
      </ul>
      <p className="px-4 py-3 text-sm text-soft group-has-[li]:hidden">Nothing does.</p>
    </section>
  );
}

/** The sessions that run, by target and by identity. */
function Running() {
  const queries = useQueryClient();
  const question = useMemo(() => ({ limit: 1000 }), []);
  const { data, error, isPending } = useCall('session.list', question);
  const { state } = useLive('session.follow', question, {
    onEvent: (event) => queries.setQueryData(keyOf('session.list', question), event),
  });
  return (
    <Panel title="Live sessions" actions={<LiveMark state={state} />}>
      {error === null ? null : <ErrorPanel problem={problemOf(error)} />}
      {isPending && error === null ? <Loading rows={3} /> : null}
      {data === undefined ? null : data.matching === 0 ? (
        <EmptyState title="No session runs right now." command="countersign connect TARGET">
          A workload that opens a target through its agent appears here.
        </EmptyState>
      ) : (
        <>
          <p className="pb-3 text-2xl font-semibold tabular-nums">
            <Link to="/sessions">{formatCount(data.matching)}</Link>
            <span className="pl-2 text-sm font-normal text-soft">
              on {plural(data.answered, 'gateway')},{' '}
              {formatCount(data.sessions.filter(({ current }) => current !== undefined).length)} busy
            </span>
          </p>
          <div className="grid gap-4 sm:grid-cols-2">
            <Tally title="By target" name="target" of={data.sessions.map(({ target }) => target)} />
            <Tally title="By identity" name="identity" of={data.sessions.map(({ identity }) => identity)} />
          </div>
        </>
      )}
    </Panel>
  );
}

function Tally({ title, name, of }: { readonly title: string; readonly name: string; readonly of: readonly string[] }) {
  const counts = new Map<string, number>();
  for (const one of of) counts.set(one, (counts.get(one) ?? 0) + 1);
  const most = [...counts].toSorted((a, b) => b[1] - a[1]);
  return (
    <div className="min-w-0 text-sm">
      <h3 className="pb-1 text-xs text-soft">{title}</h3>
      <ul>
        {most.slice(0, SHOWN_MAX).map(([one, count]) => (
          <li key={one}>
            <Link to="/sessions" search={{ [name]: one } as never} className="flex gap-2 rounded px-1 hover:bg-hover">
              <span className="min-w-0 grow">
                <Mono>{one.replace(/^spiffe:\/\/[^/]+(?=\/)/, '')}</Mono>
              </span>
              <span className="tabular-nums">{formatCount(count)}</span>
            </Link>
          </li>
        ))}
      </ul>
      {most.length > SHOWN_MAX ? <p className="px-1 text-soft">and {most.length - SHOWN_MAX} more</p> : null}
    </div>
  );
}

const SHOWN_MAX = 6;
