import { useState } from 'react';
import { problemOf } from '../../api/index.ts';
import { useFilters } from '../../page/index.ts';
import {
  Badge,
  Button,
  EmptyState,
  ErrorPanel,
  FilterBar,
  formatCount,
  formatDuration,
  LiveMark,
  Loading,
  Mono,
  PageFrame,
  plural,
  Time,
  useShortcut,
} from '../../ui/index.ts';
import { DataTable, type TableColumn } from '../../ui/table/index.ts';
import { EndDialog } from './end-dialog.tsx';
import { QuarantineDialog } from './quarantine-dialog.tsx';
import { doingText, keyOfSession, questionOf, type Session } from './session.ts';
import { SessionDrawer } from './session-drawer.tsx';
import { useSessions } from './use-sessions.ts';

/** The sessions that run on all gateways, as they are. */
export function Page() {
  const [filters, setFilters] = useFilters();
  const { question, wrong } = questionOf(filters);
  const { data, error, isPending, refetch, state } = useSessions(question, wrong === undefined);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<
    | { readonly what: 'end'; readonly sessions: readonly Session[] }
    | { readonly what: 'quarantine'; readonly session: Session }
  >();
  const sessions = data?.sessions ?? NONE;
  const chosen = sessions.filter((session) => picked.has(keyOfSession(session)));
  const opened = filters['open'];
  const open = (session: Session | undefined) =>
    setFilters({ open: session === undefined ? undefined : keyOfSession(session) });
  const toggle = (session: Session) => setPicked(toggled(picked, keyOfSession(session)));
  const end = (of: readonly Session[]) => setAsking({ what: 'end', sessions: of });
  useShortcut('e', 'End the selected sessions', () => end(chosen), { enabled: chosen.length > 0 });
  const opensAt = sessions.find((session) => keyOfSession(session) === opened);
  return (
    <PageFrame
      title="Live sessions"
      note={<Note data={data} state={state} />}
      actions={
        <Button
          kind={chosen.length === 0 ? 'plain' : 'danger'}
          disabled={sessions.length === 0}
          onClick={() => end(chosen.length === 0 ? sessions : chosen)}
        >
          {chosen.length === 0
            ? `End all ${sessions.length === 0 ? '' : formatCount(sessions.length)} shown…`
            : `End ${plural(chosen.length, 'session')}…`}
        </Button>
      }
    >
      <FilterBar fields={FIELDS} values={filters} onChange={setFilters} />
      {wrong === undefined ? null : (
        <ErrorPanel problem={{ title: wrong, remedy: '', code: '', request: '', fields: [] }} />
      )}
      {error === undefined || error === null ? null : (
        <ErrorPanel problem={problemOf(error)} onRetry={() => void refetch()} />
      )}
      {data === undefined || data.unanswered.length === 0 ? null : <Unanswered of={data.unanswered} />}
      {isPending && wrong === undefined && error === null ? <Loading /> : null}
      {data === undefined ? null : sessions.length === 0 ? (
        <Nothing
          isFiltered={Object.keys(filters).some((name) => name !== 'open')}
          onClear={() => setFilters(NO_FILTERS)}
        />
      ) : (
        <DataTable
          label="Live sessions"
          columns={COLUMNS}
          rows={sessions}
          keyOf={keyOfSession}
          onOpen={open}
          selection={{
            has: (key) => picked.has(key),
            toggle,
            nameOf: ({ identity, target }) => `${identity} on ${target}`,
          }}
        />
      )}
      {opened === undefined || data === undefined ? null : (
        <SessionDrawer
          session={opensAt}
          onClose={() => open(undefined)}
          onEnd={() => opensAt !== undefined && end([opensAt])}
          onQuarantine={() => opensAt !== undefined && setAsking({ what: 'quarantine', session: opensAt })}
        />
      )}
      {asking?.what === 'end' ? <EndDialog sessions={asking.sessions} onClose={() => setAsking(undefined)} /> : null}
      {asking?.what === 'quarantine' ? (
        <QuarantineDialog session={asking.session} onClose={() => setAsking(undefined)} />
      ) : null}
    </PageFrame>
  );
}

function Note({
  data,
  state,
}: {
  readonly data: ReturnType<typeof useSessions>['data'];
  readonly state: ReturnType<typeof useSessions>['state'];
}) {
  return (
    <span className="flex flex-wrap items-center gap-x-3">
      {data === undefined ? null : (
        <span>
          {plural(data.matching, 'session')} on {plural(data.answered, 'gateway')}
          {data.matching > data.sessions.length ? `, the newest ${formatCount(data.sessions.length)} are shown` : ''}
        </span>
      )}
      <LiveMark state={state} />
    </span>
  );
}

function Unanswered({
  of,
}: {
  readonly of: readonly { readonly address: string; readonly spiffeId: string; readonly why: string }[];
}) {
  return (
    <p role="status" className="mb-2 rounded-md border border-warn/40 bg-warn-wash px-3 py-2 text-sm">
      What runs there is not known: {of.map(({ address, why }) => `${address} (${why})`).join(', ')}
    </p>
  );
}

function Nothing({ isFiltered, onClear }: { readonly isFiltered: boolean; readonly onClear: () => void }) {
  if (isFiltered)
    return (
      <EmptyState title="No session is of that kind right now." action={{ label: 'Clear filters', run: onClear }}>
        The list is live: it shows one as soon as it begins.
      </EmptyState>
    );
  return (
    <EmptyState title="No session runs right now." command="countersign connect TARGET">
      A workload that opens a target through its agent appears here within a second or two. Try it from a machine with
      an agent:
    </EmptyState>
  );
}

function toggled(set: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(key)) next.add(key);
  return next;
}

const NONE: readonly Session[] = [];
const FIELDS = [
  { name: 'identity', label: 'Identity', placeholder: '/shop/orders or /shop/*' },
  { name: 'target', label: 'Target', placeholder: 'orders-db' },
  { name: 'node', label: 'Node', placeholder: 'spiffe://…' },
  { name: 'gateway', label: 'Gateway', placeholder: 'host:port' },
  { name: 'olderThan', label: 'Older than', placeholder: '15m' },
] as const;
const NO_FILTERS = Object.fromEntries(FIELDS.map(({ name }) => [name, undefined]));
const COLUMNS: readonly TableColumn<Session>[] = [
  {
    id: 'identity',
    header: 'Identity',
    width: 'minmax(9rem, 2fr)',
    cell: ({ identity }) => <Mono>{identity.replace(/^spiffe:\/\/[^/]+/, '')}</Mono>,
    sortBy: ({ identity }) => identity,
  },
  {
    id: 'target',
    header: 'Target',
    width: 'minmax(6rem, 1fr)',
    cell: ({ target }) => <Mono>{target}</Mono>,
    sortBy: ({ target }) => target,
  },
  {
    id: 'doing',
    header: 'Doing',
    width: 'minmax(12rem, 3fr)',
    from: 720,
    cell: (session) => <Doing session={session} />,
  },
  {
    id: 'application',
    header: 'Application',
    width: 'minmax(6rem, 1fr)',
    from: 1100,
    cell: ({ application = '' }) => <Mono>{application}</Mono>,
    sortBy: ({ application = '' }) => application,
  },
  {
    id: 'node',
    header: 'Node',
    width: 'minmax(7rem, 1fr)',
    from: 1400,
    cell: ({ node = '' }) => <Mono>{node.replace(/^spiffe:\/\/[^/]+/, '')}</Mono>,
    sortBy: ({ node = '' }) => node,
  },
  {
    id: 'operations',
    header: 'Operations',
    width: '5.5rem',
    from: 900,
    align: 'right',
    cell: ({ operations }) => formatCount(operations),
    sortBy: ({ operations }) => operations,
  },
  {
    id: 'denials',
    header: 'Denials',
    width: '4.5rem',
    from: 560,
    align: 'right',
    cell: ({ denials }) => (denials === 0 ? '0' : <Badge tone="danger">{formatCount(denials)}</Badge>),
    sortBy: ({ denials }) => denials,
  },
  {
    id: 'since',
    header: 'Since',
    width: '9.5rem',
    from: 480,
    cell: ({ since }) => <Time at={since} />,
    sortBy: ({ since }) => Date.parse(since),
  },
];

function Doing({ session: { current, last } }: { readonly session: Session }) {
  const operation = current ?? last;
  if (operation === undefined) return <span className="text-soft">nothing yet</span>;
  return (
    <span className="flex min-w-0 items-center gap-2">
      {current === undefined ? null : <Badge tone="accent">{formatDuration(current.durationMs)}</Badge>}
      <span className="min-w-0">
        <Mono>{doingText(operation)}</Mono>
      </span>
    </span>
  );
}
