import { useCallback, useMemo, useState } from 'react';
import { problemOf, useLive, usePages } from '../../api/index.ts';
import { useFilters } from '../../page/index.ts';
import {
  Badge,
  Button,
  CommandText,
  currentMs,
  EmptyState,
  ErrorPanel,
  FilterBar,
  formatCount,
  LiveMark,
  Loading,
  Mono,
  PageFrame,
  SelectField,
  Time,
  useShortcut,
} from '../../ui/index.ts';
import { DataTable, type TableColumn } from '../../ui/table/index.ts';
import { idOf, KIND_TONES, outcomeOf, type RecordItem, summaryOf, viewOf } from './entry.ts';
import { EntryDrawer } from './entry-drawer.tsx';
import { commandOf, FILTER_NAMES, questionOf } from './question.ts';

/** Every entry of every ledger: found, followed, proven. */
export function Page() {
  const [filters, setFilters] = useFilters();
  const [openedMs, setOpenedMs] = useState(currentMs);
  const asked = JSON.stringify(FILTER_NAMES.map((name) => filters[name]));
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked changes with the filters, not with what is open
  const { question, wrong } = useMemo(() => questionOf(filters, openedMs), [asked, openedMs]);
  const isFollowed = filters['follow'] === 'true';
  const { items, found, state, problem, clear } = useEntries(question, { isFollowed, isAsked: wrong.length === 0 });
  const opened = filters['open'];
  const open = (item: RecordItem | undefined) => setFilters({ open: item === undefined ? undefined : idOf(item) });
  const follow = () => setFilters({ follow: isFollowed ? undefined : 'true' }, { replace: true });
  useShortcut('f', 'Follow the record, or stop', follow);
  const anew = () => {
    clear();
    setOpenedMs(currentMs());
    void found.refetch();
  };
  useShortcut('r', 'Search anew', anew);
  return (
    <PageFrame
      title="Record"
      note={<Note count={items.length} hasMore={found.hasNextPage} state={isFollowed ? state : undefined} />}
      actions={
        <>
          <Button aria-pressed={isFollowed} kind={isFollowed ? 'primary' : 'plain'} onClick={follow}>
            {isFollowed ? 'Following' : 'Follow'}
          </Button>
          <Button onClick={anew}>Search anew</Button>
        </>
      }
    >
      <Filters filters={filters} onChange={setFilters} />
      {wrong.length === 0 ? null : (
        <ErrorPanel
          problem={{
            title: 'A filter can not be read.',
            remedy: 'Times are 15m, 2h, 7d or 2026-12-03 12:00; the others are numbers.',
            code: '',
            request: '',
            fields: wrong.map((message) => ({ path: 'filter', message })),
          }}
        />
      )}
      {found.isError ? <ErrorPanel problem={problemOf(found.error)} onRetry={anew} /> : null}
      {problem === undefined ? null : <ErrorPanel problem={problemOf(problem)} />}
      {found.isPending && wrong.length === 0 ? <Loading rows={12} /> : null}
      {found.data !== undefined && items.length === 0 && !found.hasNextPage ? (
        <Nothing
          isFiltered={Object.keys(question).length > 0}
          command={commandOf(question)}
          onClear={() => setFilters(NO_FILTERS)}
        />
      ) : null}
      {items.length > 0 || found.hasNextPage ? (
        <DataTable
          label="Entries, newest first"
          columns={COLUMNS}
          rows={items}
          keyOf={idOf}
          onOpen={open}
          onEnd={found.more}
          foot={<Foot isMore={found.isFetchingNextPage} hasMore={found.hasNextPage} onMore={found.more} />}
        />
      ) : null}
      <p className="hidden pt-2 text-xs text-soft sm:block">
        The same in a terminal: <CommandText>{commandOf(question)}</CommandText>
      </p>
      {opened === undefined ? null : (
        <EntryDrawer id={opened} known={items.find((item) => idOf(item) === opened)} onClose={() => open(undefined)} />
      )}
    </PageFrame>
  );
}

/** Pages that were read, and before them what came since. */
function useEntries(
  question: ReturnType<typeof questionOf>['question'],
  { isFollowed, isAsked }: { isFollowed: boolean; isAsked: boolean },
) {
  const pages = usePages('record.search', { ...question, limit: PAGE });
  const key = JSON.stringify(question);
  const [fresh, setFresh] = useState<{ readonly of: string; readonly items: readonly RecordItem[] }>({
    of: key,
    items: [],
  });
  const live = useLive('record.follow', question, {
    enabled: isFollowed && isAsked,
    onEvent: (event) =>
      setFresh(({ of, items }) => ({ of: key, items: [event, ...(of === key ? items : [])].slice(0, FRESH_MAX) })),
  });
  const { data, hasNextPage, isFetching, fetchNextPage, refetch } = pages;
  const items = useMemo(() => {
    const came = fresh.of === key ? fresh.items : [];
    const ids = new Set(came.map(idOf));
    return [...came, ...(data?.pages.flatMap((page) => page.items) ?? []).filter((item) => !ids.has(idOf(item)))];
  }, [fresh, key, data]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  const { isPending, isError, error, isFetchingNextPage } = pages;
  return {
    ...{ items, state: live.state, problem: live.problem },
    found: { data, isPending, isError, error, isFetchingNextPage, hasNextPage, refetch, more },
    clear: () => setFresh({ of: key, items: [] }),
  };
}

function Filters({
  filters,
  onChange,
}: {
  readonly filters: ReturnType<typeof useFilters>[0];
  readonly onChange: ReturnType<typeof useFilters>[1];
}) {
  const isMore = MORE_FIELDS.some(({ name }) => filters[name] !== undefined);
  const [areAll, setAll] = useState(isMore);
  return (
    <FilterBar fields={areAll || isMore ? [...FIELDS, ...MORE_FIELDS] : FIELDS} values={filters} onChange={onChange}>
      <SelectField
        label="Masked"
        value={filters['masked'] ?? ''}
        onChange={(event) => onChange({ masked: event.target.value })}
        options={[
          ['', 'any'],
          ['true', 'only what was masked'],
        ]}
      />
      <div>
        <Button kind="quiet" aria-expanded={areAll || isMore} onClick={() => setAll(!areAll)}>
          {areAll || isMore ? 'Fewer filters' : 'More filters'}
        </Button>
      </div>
    </FilterBar>
  );
}

function Note({
  count,
  hasMore,
  state,
}: {
  readonly count: number;
  readonly hasMore: boolean;
  readonly state: Parameters<typeof LiveMark>[0]['state'] | undefined;
}) {
  return (
    <span className="flex items-center gap-3">
      <span>
        {formatCount(count)} shown{hasMore ? ', more below' : ''}
      </span>
      {state === undefined ? null : <LiveMark state={state} />}
    </span>
  );
}

function Foot({
  isMore,
  hasMore,
  onMore,
}: {
  readonly isMore: boolean;
  readonly hasMore: boolean;
  readonly onMore: () => void;
}) {
  if (!hasMore) return <p className="px-3 py-2 text-xs text-soft">That is all of it.</p>;
  return (
    <p className="px-3 py-2">
      <Button disabled={isMore} onClick={onMore}>
        {isMore ? 'Reading…' : 'Older ones'}
      </Button>
    </p>
  );
}

function Nothing({
  isFiltered,
  command,
  onClear,
}: {
  readonly isFiltered: boolean;
  readonly command: string;
  readonly onClear: () => void;
}) {
  if (isFiltered)
    return (
      <EmptyState title="No entry is of that kind." command={command} action={{ label: 'Clear filters', run: onClear }}>
        Entries arrive a second or two after they were written. The same in a terminal:
      </EmptyState>
    );
  return (
    <EmptyState title="The record is empty." command="countersign record logs">
      Every gateway ships what it decided to the server. If nothing comes, look which ledgers are shipped:
    </EmptyState>
  );
}

const KINDS = ['session-open', 'intent', 'outcome', 'denial', 'session-close', 'admin', 'ledger'] as const;
const FIELDS = [
  { name: 'identity', label: 'Identity', placeholder: '/shop/orders' },
  { name: 'target', label: 'Target', placeholder: 'orders-db' },
  { name: 'kind', label: 'Kind', options: KINDS.map((kind) => [kind, kind] as const) },
  { name: 'object', label: 'Object', placeholder: 'public.customers' },
  { name: 'session', label: 'Session' },
  { name: 'since', label: 'Since', placeholder: '1h, or 2026-12-03 09:00' },
] as const;
const MORE_FIELDS = [
  { name: 'until', label: 'Until', placeholder: '15m' },
  { name: 'column', label: 'Column', placeholder: 'email' },
  { name: 'action', label: 'Action', placeholder: 'postgres:select' },
  { name: 'reason', label: 'Reason', placeholder: 'no-permit' },
  { name: 'policy', label: 'Policy' },
  { name: 'node', label: 'Node' },
  { name: 'status', label: 'Status', placeholder: 'failed' },
  { name: 'code', label: 'Code', placeholder: '42501' },
  { name: 'shape', label: 'Shape' },
  { name: 'rowsMin', label: 'Rows, at least' },
  { name: 'rowsMax', label: 'Rows, at most' },
  { name: 'bytesMin', label: 'Bytes, at least' },
  { name: 'bytesMax', label: 'Bytes, at most' },
  { name: 'log', label: 'Log', placeholder: '1' },
] as const;
const NO_FILTERS = Object.fromEntries(FILTER_NAMES.map((name) => [name, undefined]));
const COLUMNS: readonly TableColumn<RecordItem>[] = [
  { id: 'time', header: 'When', width: '9.5rem', cell: ({ entry }) => <Time at={Number(entry['timeMs'])} /> },
  { id: 'kind', header: 'Kind', width: '6.8rem', cell: (item) => <Kind item={item} /> },
  {
    id: 'identity',
    header: 'Identity',
    width: 'minmax(8rem, 2fr)',
    from: 560,
    cell: (item) => <Mono>{viewOf(item).actor.replace(/^spiffe:\/\/[^/]+(?=\/)/, '')}</Mono>,
  },
  {
    id: 'target',
    header: 'Target',
    width: 'minmax(6rem, 1fr)',
    from: 760,
    cell: (item) => <Mono>{viewOf(item).target}</Mono>,
  },
  {
    id: 'action',
    header: 'Action',
    width: 'minmax(7rem, 1fr)',
    from: 900,
    cell: (item) => <Mono>{viewOf(item).action}</Mono>,
  },
  { id: 'what', header: 'What', width: 'minmax(6rem, 3fr)', cell: (item) => <Mono>{summaryOf(viewOf(item))}</Mono> },
  { id: 'outcome', header: 'Outcome', width: '7rem', from: 640, cell: (item) => <Outcome item={item} /> },
  { id: 'id', header: 'Entry', width: '6rem', from: 1200, align: 'right', cell: (item) => idOf(item) },
];

function Kind({ item }: { readonly item: RecordItem }) {
  const { kind } = viewOf(item);
  return <Badge tone={KIND_TONES[kind] ?? 'plain'}>{kind}</Badge>;
}

function Outcome({ item }: { readonly item: RecordItem }) {
  const outcome = outcomeOf(viewOf(item));
  return outcome === undefined ? null : <Badge tone={outcome[1]}>{outcome[0]}</Badge>;
}

const PAGE = 100;
/** What came while it was followed: more is found by searching anew. */
const FRESH_MAX = 2000;
