import { useCall } from '../../api/index.ts';
import { AttentionItem, CommandText, Mono, Time } from '../../ui/index.ts';

/** Ledgers with which something is wrong. */
export function Attention() {
  const { data } = useCall('log.list', {}, { everyMs: 15_000 });
  return data?.logs
    .filter(({ alarm, state }) => alarm !== undefined && state !== 'closed')
    .map(({ log, origin, alarm }) => (
      <AttentionItem
        key={log}
        tone={alarm?.kind === 'silence' ? 'warn' : 'danger'}
        word={`ledger: ${alarm?.kind ?? ''}`}
        title={<Mono>{origin}</Mono>}
        action={<CommandText>{`countersign record accept ${origin}`}</CommandText>}
      >
        {alarm?.found} {alarm?.since === undefined ? null : <Time at={alarm.since} />}. Once it is understood, it is
        closed by:
      </AttentionItem>
    ));
}
