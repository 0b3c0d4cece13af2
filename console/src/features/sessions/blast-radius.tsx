import { formatDuration, Mono, plural } from '../../ui/index.ts';
import { blastOf, doingText, keyOfSession, type Session } from './session.ts';

/** Who and what is hit, before anything is done. */
export function BlastRadius({ sessions }: { readonly sessions: readonly Session[] }) {
  const { identities, targets, nodes, gateways, busy } = blastOf(sessions);
  return (
    <div className="rounded-md border border-warn/40 bg-warn-wash p-3 text-sm">
      <p className="font-medium">
        {plural(sessions.length, 'session')} of {plural(identities.length, 'identity', 'identities')} on{' '}
        {plural(targets.length, 'target')}, from {plural(nodes.length, 'node')}, through{' '}
        {plural(gateways.length, 'gateway')}
      </p>
      <div className="mt-2 grid gap-3 sm:grid-cols-2">
        <Tally title="Identities" of={identities} />
        <Tally title="Targets" of={targets} />
      </div>
      {busy.length === 0 ? (
        <p className="mt-2 text-soft">None is in the middle of an operation.</p>
      ) : (
        <>
          <p className="mt-2 font-medium">{plural(busy.length, 'operation')} in progress will be cut off:</p>
          <ul className="mt-1 max-h-40 overflow-y-auto">
            {busy.slice(0, SHOWN_MAX).map((session) => (
              <li key={keyOfSession(session)} className="flex gap-2">
                <span className="min-w-0 grow">
                  <Mono>{session.current === undefined ? '' : doingText(session.current)}</Mono>
                </span>
                <span className="whitespace-nowrap text-soft">
                  for {formatDuration(session.current?.durationMs ?? 0)}
                </span>
              </li>
            ))}
          </ul>
          {busy.length > SHOWN_MAX ? <p className="text-soft">and {busy.length - SHOWN_MAX} more</p> : null}
        </>
      )}
    </div>
  );
}

function Tally({ title, of }: { readonly title: string; readonly of: readonly (readonly [string, number])[] }) {
  return (
    <div className="min-w-0">
      <p className="text-xs text-soft">{title}</p>
      <ul>
        {of.slice(0, 5).map(([name, count]) => (
          <li key={name} className="flex gap-2">
            <span className="w-8 shrink-0 text-right tabular-nums">{count}</span>
            <span className="min-w-0">
              <Mono>{name}</Mono>
            </span>
          </li>
        ))}
      </ul>
      {of.length > 5 ? <p className="pl-10 text-soft">and {of.length - 5} more</p> : null}
    </div>
  );
}

const SHOWN_MAX = 20;
