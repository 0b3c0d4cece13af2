import { useState } from 'react';
import { type Output, problemOf, useAct, useCall } from '../../api/index.ts';
import {
  Badge,
  CommandText,
  ConfirmDialog,
  ErrorPanel,
  Facts,
  formatDuration,
  Loading,
  Mono,
  plural,
  SelectField,
  TextField,
  Time,
} from '../../ui/index.ts';
import { BlastRadius } from './blast-radius.tsx';
import type { Session } from './session.ts';

/**
 * Keeps an identity, or a whole node, out until somebody lifts that. What runs of it now, on all gateways, is asked anew and shown before the button, whatever
 * the list was narrowed to.
 */
export function QuarantineDialog({ session, onClose }: { readonly session: Session; readonly onClose: () => void }) {
  const [subject, setSubject] = useState<'identity' | 'node'>('identity');
  const [running, setRunning] = useState<'end' | 'keep'>('end');
  const [reason, setReason] = useState('');
  const add = useAct('revocation.add', ['revocation.list', 'session.list']);
  const { node } = session;
  const hit = useCall('session.list', {
    limit: 1000,
    ...(subject === 'node' && node !== undefined ? { node } : { identity: session.identity }),
  });
  const run = () =>
    add.mutate({
      input: {
        subject:
          subject === 'node' && node !== undefined
            ? { kind: 'node', nodeId: node }
            : { kind: 'identity', spiffeId: session.identity },
        ...{ mode: 'quarantined', running, waitSeconds: 5 },
        ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
      },
    });
  return (
    <ConfirmDialog
      open
      onClose={onClose}
      title={add.data === undefined ? 'Quarantine?' : 'Quarantined'}
      {...(add.data === undefined
        ? { confirm: { label: 'Quarantine', busy: add.isPending, disabled: hit.data === undefined, run } }
        : {})}
    >
      {add.data === undefined ? (
        <div className="flex flex-col gap-3">
          <div className="grid gap-3 sm:grid-cols-2">
            <SelectField
              label="What is kept out"
              value={subject}
              onChange={(event) => setSubject(event.target.value === 'node' ? 'node' : 'identity')}
              options={[
                ['identity', 'this identity, wherever it runs'],
                ...(node === undefined ? [] : ([['node', 'everything on its node']] as const)),
              ]}
            />
            <SelectField
              label="Sessions that run"
              value={running}
              onChange={(event) => setRunning(event.target.value === 'keep' ? 'keep' : 'end')}
              options={[
                ['end', 'are ended'],
                ['keep', 'go on'],
              ]}
            />
          </div>
          <Mono wrap>{subject === 'node' ? (node ?? '') : session.identity}</Mono>
          {hit.isPending ? <Loading rows={2} /> : null}
          {hit.data === undefined ? null : running === 'end' ? (
            <BlastRadius sessions={hit.data.sessions} />
          ) : (
            <p className="text-sm">{plural(hit.data.matching, 'session')} of it go on; new ones are refused.</p>
          )}
          {hit.isError ? <ErrorPanel problem={problemOf(hit.error)} onRetry={() => void hit.refetch()} /> : null}
          <TextField
            label="Reason, for the record"
            value={reason}
            maxLength={200}
            onChange={(event) => setReason(event.target.value)}
          />
          {add.isError ? <ErrorPanel problem={problemOf(add.error)} /> : null}
        </div>
      ) : (
        <Effect of={add.data} />
      )}
    </ConfirmDialog>
  );
}

/** Where it holds by now, and where it may not. */
function Effect({ of }: { readonly of: Output<'revocation.add'> }) {
  const { inEffect, open, verifiers, verifiersLeftOut, revocation } = of;
  return (
    <div className="flex flex-col gap-3 text-sm">
      <p>
        In effect at {plural(inEffect, 'agent or gateway', 'agents and gateways')}
        {open === 0 ? '.' : `; at ${open} it may not be, and they are named first.`}
      </p>
      <ul className="divide-y divide-line">
        {verifiers.map((verifier) => (
          <li
            key={`${verifier.kind} ${verifier.spiffeId} ${verifier.address ?? ''} ${verifier.instance ?? ''}`}
            className="flex items-center gap-2 py-1"
          >
            <Badge tone={verifier.state === 'in-effect' ? 'good' : verifier.state === 'refusing' ? 'warn' : 'danger'}>
              {verifier.state}
            </Badge>
            <span className="min-w-0 grow">
              <Mono>{verifier.address ?? verifier.spiffeId}</Mono>
            </span>
            {verifier.afterMs === undefined ? null : (
              <span className="text-soft">{formatDuration(verifier.afterMs)}</span>
            )}
            {verifier.endsBy === undefined ? null : (
              <span className="text-soft">
                ends by itself <Time at={verifier.endsBy} />
              </span>
            )}
          </li>
        ))}
      </ul>
      {verifiersLeftOut === 0 ? null : <p>and {verifiersLeftOut} more</p>}
      <Facts
        of={[['To lift it', <CommandText key="lift">{`countersign revocation lift ${revocation.id}`}</CommandText>]]}
      />
    </div>
  );
}
