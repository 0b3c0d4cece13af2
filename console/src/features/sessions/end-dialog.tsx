import { useState } from 'react';
import { problemOf, useAct } from '../../api/index.ts';
import { ConfirmDialog, ErrorPanel, plural, TextField, toast } from '../../ui/index.ts';
import { BlastRadius } from './blast-radius.tsx';
import { keyOfSession, type Session } from './session.ts';

/** Ends sessions: those that were seen, and nothing that came since. What that hits stands before the button. */
export function EndDialog({
  sessions,
  onClose,
}: {
  readonly sessions: readonly Session[];
  readonly onClose: () => void;
}) {
  const [reason, setReason] = useState('');
  const end = useAct('session.end', ['session.list']);
  const refs = sessions.map(({ id, gatewaySpiffeId, gatewayAddress }) => ({ id, gatewaySpiffeId, gatewayAddress }));
  const run = () =>
    end.mutate(
      { input: { sessions: refs, ...(reason.trim() === '' ? {} : { reason: reason.trim() }) } },
      {
        onSuccess({ ended, unanswered }) {
          if (unanswered.length > 0) return; // It stays open, and names them.
          const gone = refs.length - ended.length;
          toast(
            `${plural(ended.length, 'session')} ended`,
            gone === 0 ? {} : { description: `${gone} had ended by themselves.` },
          );
          onClose();
        },
      },
    );
  const unanswered = end.data?.unanswered ?? [];
  return (
    <ConfirmDialog
      open
      onClose={onClose}
      title={sessions.length === 1 ? 'End this session?' : `End ${plural(sessions.length, 'session')}?`}
      {...(end.data === undefined
        ? {
            confirm: {
              label: `End ${plural(sessions.length, 'session')}`,
              busy: end.isPending,
              disabled: sessions.length === 0,
              run,
            },
          }
        : {})}
    >
      <BlastRadius sessions={sessions} />
      <p className="my-3 text-sm text-soft">
        Clients get their protocol’s own error, and may connect again at once. To keep them out, quarantine the
        identity.
      </p>
      {end.data === undefined ? (
        <TextField
          label="Reason, for the record"
          value={reason}
          maxLength={200}
          onChange={(event) => setReason(event.target.value)}
        />
      ) : null}
      {end.isError ? <ErrorPanel problem={problemOf(end.error)} /> : null}
      {unanswered.length === 0 ? null : (
        <div role="alert" className="mt-2 text-sm">
          <p className="font-medium text-danger">
            {plural(end.data?.ended.length ?? 0, 'session')} ended. Of these gateways it is not known:
          </p>
          <ul className="list-disc pl-5">
            {unanswered.map((gateway) => (
              <li key={keyOfSession({ gatewayAddress: gateway.address, id: gateway.spiffeId })}>
                {gateway.address}: {gateway.why}
              </li>
            ))}
          </ul>
        </div>
      )}
    </ConfirmDialog>
  );
}
