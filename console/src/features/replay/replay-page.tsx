import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { problemOf, usePages } from '../../api/index.ts';
import { useFilters } from '../../page/index.ts';
import {
  Badge,
  Button,
  EmptyState,
  ErrorPanel,
  FilterBar,
  formatCount,
  formatDuration,
  Loading,
  Mono,
  PageFrame,
  plural,
  Time,
  type Tone,
  useShortcut,
} from '../../ui/index.ts';
import { type Moment, momentsOf } from './moments.ts';

/** What one session did, one thing after the other, with the time between them. */
export function Page() {
  const [filters, setFilters] = useFilters();
  const { session } = filters;
  return (
    <PageFrame title="Session replay" note={session === undefined ? undefined : <Mono>{session}</Mono>}>
      <FilterBar fields={FIELDS} values={filters} onChange={setFilters} />
      {session === undefined ? (
        <EmptyState title="Which session?" command="countersign record search --kind session-open">
          Give the id of a session, or go on from a session or an entry. Those that there were are found so:
        </EmptyState>
      ) : (
        <Replay session={session} target={filters['target']} />
      )}
    </PageFrame>
  );
}

function Replay({ session, target }: { readonly session: string; readonly target: string | undefined }) {
  const [{ at }, setFilters] = useFilters();
  const found = usePages('record.search', { session, limit: PAGE, ...(target === undefined ? {} : { target }) });
  const moments = useMemo(() => momentsOf(found.data?.pages.flatMap(({ items }) => items) ?? []), [found.data]);
  const chosen = Math.max(
    0,
    moments.findIndex(({ id }) => id === at),
  );
  const go = (to: number) =>
    setFilters({ at: moments[Math.max(0, Math.min(moments.length - 1, to))]?.id }, { replace: true });
  useShortcut('j', 'Replay: the next', () => go(chosen + 1), { enabled: moments.length > 0 });
  useShortcut('k', 'Replay: the one before', () => go(chosen - 1), { enabled: moments.length > 0 });
  if (found.isError) return <ErrorPanel problem={problemOf(found.error)} onRetry={() => void found.refetch()} />;
  if (found.isPending) return <Loading rows={10} />;
  const last = moments.at(-1);
  if (last === undefined)
    return (
      <EmptyState
        title="The record has nothing of such a session."
        command="countersign record search --kind session-open"
      >
        Its entries come a second or two after they were written. Those that there were are found so:
      </EmptyState>
    );
  return (
    <div className="flex min-h-0 grow flex-col gap-3">
      <Scale moments={moments} lengthMs={Math.max(1, last.atMs + (last.durationMs ?? 0))} chosen={chosen} onGo={go} />
      {found.hasNextPage ? (
        <p className="text-sm">
          Its newest {formatCount(moments.length)} are here.{' '}
          <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Read older ones
          </Button>
        </p>
      ) : null}
      <ol aria-label="What it did" className="min-h-40 grow overflow-y-auto rounded-lg border border-line bg-surface">
        {moments.map((moment, index) => (
          <Line
            key={moment.id}
            moment={moment}
            before={moments[index - 1]}
            isChosen={index === chosen}
            onChoose={() => go(index)}
          />
        ))}
      </ol>
    </div>
  );
}

/** All of it at a glance: where along its time something was done, and how long it took. */
function Scale({
  moments,
  lengthMs,
  chosen,
  onGo,
}: {
  readonly moments: readonly Moment[];
  readonly lengthMs: number;
  readonly chosen: number;
  readonly onGo: (to: number) => void;
}) {
  return (
    <div className="rounded-lg border border-line bg-surface p-3">
      <div aria-hidden="true" className="relative h-8 overflow-hidden rounded bg-page">
        {moments.map(({ id, atMs, durationMs = 0, status }, index) => (
          <span
            key={id}
            className={`absolute inset-y-1 min-w-0.5 rounded-sm ${index === chosen ? 'bg-accent' : status === 'refused' || status === 'failed' ? 'bg-danger' : 'bg-edge'}`}
            style={{ left: `${(atMs / lengthMs) * 99}%`, width: `${(durationMs / lengthMs) * 99}%` }}
          />
        ))}
      </div>
      <label className="flex items-center gap-3 pt-2 text-sm">
        <span className="sr-only">Place in the replay</span>
        <input
          type="range"
          min={0}
          max={moments.length - 1}
          value={chosen}
          onChange={(event) => onGo(Number(event.target.value))}
          className="min-w-0 grow accent-accent"
        />
        <span className="whitespace-nowrap text-soft tabular-nums">
          {chosen + 1} of {plural(moments.length, 'moment')}, {formatDuration(lengthMs)}
        </span>
      </label>
    </div>
  );
}

function Line({
  moment,
  before,
  isChosen,
  onChoose,
}: {
  readonly moment: Moment;
  readonly before: Moment | undefined;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}) {
  const { id, kind, action, about, atMs, timeMs, durationMs, status, items } = moment;
  const gapMs = before === undefined ? 0 : atMs - before.atMs - (before.durationMs ?? 0);
  return (
    <li
      ref={(element) => {
        if (isChosen) element?.scrollIntoView({ block: 'nearest' });
      }}
      className={`border-b border-line/60 text-sm ${isChosen ? 'bg-selected' : ''}`}
    >
      {gapMs > QUIET_MS ? <p className="px-3 pt-1 text-xs text-soft">nothing for {formatDuration(gapMs)}</p> : null}
      <button
        type="button"
        aria-pressed={isChosen}
        onClick={onChoose}
        className="grid w-full grid-cols-[4.5rem_1fr_auto] items-center gap-x-3 px-3 py-1.5 text-left hover:bg-hover"
      >
        <span className="text-soft tabular-nums">+{formatDuration(atMs)}</span>
        <span className="min-w-0">
          <Mono>{kind === 'intent' ? action : `${kind} ${action}`}</Mono>
          <Mono>{about}</Mono>
        </span>
        <span className="flex flex-wrap items-center justify-end gap-2">
          {items === undefined ? null : <span className="text-soft">{plural(items, 'item')}</span>}
          {durationMs === undefined ? null : <span className="text-soft">{formatDuration(durationMs)}</span>}
          {status === undefined ? null : <Badge tone={TONES[status] ?? 'plain'}>{status}</Badge>}
        </span>
      </button>
      {isChosen ? (
        <p className="flex gap-4 px-3 pb-2 text-sm">
          <Time at={timeMs} />
          <Link to="/record" search={{ session: undefined, open: id } as never} className="text-accent underline">
            Entry {id}, with its proof
          </Link>
        </p>
      ) : null}
    </li>
  );
}

const FIELDS = [
  { name: 'session', label: 'Session' },
  { name: 'target', label: 'Target' },
] as const;
const TONES: Readonly<Record<string, Tone>> = {
  done: 'good',
  refused: 'danger',
  failed: 'danger',
  'over-limit': 'danger',
  unknown: 'warn',
  operator: 'warn',
};
const PAGE = 500;
/** Less is no pause. */
const QUIET_MS = 5000;
