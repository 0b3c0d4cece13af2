import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { problemOf, useCall } from '../../api/index.ts';
import {
  Badge,
  Drawer,
  ErrorPanel,
  Facts,
  formatBytes,
  formatCount,
  formatDuration,
  Loading,
  Mono,
  Time,
} from '../../ui/index.ts';
import { type EntryView, KIND_TONES, outcomeOf, parseId, type RecordItem, viewOf } from './entry.ts';
import { JsonTree } from './json-tree.tsx';
import { ProofPanel } from './proof/proof-panel.tsx';

/** One entry: what it says, what it belongs to, and its proof. */
export function EntryDrawer({
  id,
  known,
  onClose,
}: {
  readonly id: string;
  readonly known: RecordItem | undefined;
  readonly onClose: () => void;
}) {
  const place = parseId(id);
  const asked = useCall('record.get', place ?? { log: 1, position: 0 }, {
    enabled: known === undefined && place !== undefined,
  });
  const item = known ?? (place === undefined ? undefined : asked.data);
  return (
    <Drawer open onClose={onClose} title={`Entry ${id}`}>
      {place === undefined ? (
        <p>The address names no entry: it is a number, a slash and a number, such as 1/42.</p>
      ) : null}
      {asked.isError ? <ErrorPanel problem={problemOf(asked.error)} /> : null}
      {item === undefined ? (
        place === undefined || asked.isError ? null : (
          <Loading />
        )
      ) : (
        <Entry item={item} view={viewOf(item)} />
      )}
    </Drawer>
  );
}

function Entry({ item, view }: { readonly item: RecordItem; readonly view: EntryView }) {
  const outcome = outcomeOf(view);
  const { timeMs, session, operation, shape, policies, objects, masks, durationMs, items, bytesOut } = view;
  return (
    <div className="flex flex-col gap-5">
      <p className="flex flex-wrap items-center gap-2 text-sm">
        <Badge tone={KIND_TONES[view.kind] ?? 'plain'}>{view.kind}</Badge>
        <span className="font-medium">{view.action}</span>
        {outcome === undefined ? null : <Badge tone={outcome[1]}>{outcome[0]}</Badge>}
        {timeMs === undefined ? null : <Time at={timeMs} />}
      </p>
      <Facts
        of={[
          ['Identity', <Filter key="v" name="identity" value={view.actor} />],
          ['Target', <Filter key="v" name="target" value={view.target} />],
          ['Session', session === undefined ? undefined : <Filter name="session" value={session} />],
          ['Operation', operation === undefined ? undefined : <Mono wrap>{operation}</Mono>],
          ['Reached', objects.length === 0 ? undefined : <Mono wrap>{objects.join('\n')}</Mono>],
          ['Masked', masks.length === 0 ? undefined : <Mono wrap>{masks.join('\n')}</Mono>],
          ['Policies', policies.length === 0 ? undefined : <Several key="v" name="policy" values={policies} />],
          ['Shape', shape === undefined ? undefined : <Filter name="shape" value={shape} />],
          ['Code', view.code === undefined ? undefined : <Filter name="code" value={view.code} />],
          ['Took', durationMs === undefined ? undefined : formatDuration(durationMs)],
          ['Items', items === undefined ? undefined : formatCount(items)],
          ['Answer', bytesOut === undefined ? undefined : formatBytes(bytesOut)],
        ]}
      />
      <ProofPanel log={item.log} position={item.position} />
      <details>
        <summary className="cursor-pointer text-sm font-medium">All that it says</summary>
        <div className="pt-2">
          <JsonTree value={item.entry} />
        </div>
      </details>
    </div>
  );
}

function Several({ name, values }: { readonly name: string; readonly values: readonly string[] }): ReactNode {
  return values.map((value) => <Filter key={value} name={name} value={value} />);
}

/** Leads to all entries that have it. */
function Filter({ name, value }: { readonly name: string; readonly value: string }) {
  if (value === '') return null;
  return (
    <Link
      to="/record"
      search={{ [name]: value } as never}
      className="text-accent underline decoration-edge/50 hover:decoration-accent"
    >
      <Mono wrap>{value}</Mono>
    </Link>
  );
}
