import { useCall } from '../../api/index.ts';
import { AttentionItem, CommandText, Mono, Time } from '../../ui/index.ts';

/** Who is kept out: somebody should know, and lift it when it is over. */
export function Attention() {
  const { data } = useCall('revocation.list', {}, { everyMs: 15_000 });
  return data?.revocations
    .toReversed()
    .slice(0, SHOWN_MAX)
    .map(({ id, subject, mode, by, at, reason }) => (
      <AttentionItem
        key={id}
        tone="accent"
        word={mode}
        title={
          <Mono>
            {subject.spiffeId ??
              subject.nodeId ??
              subject.entryId ??
              subject.thumbprint ??
              `${subject.name ?? ''}=${subject.value ?? ''}`}
          </Mono>
        }
        action={<CommandText>{`countersign revocation lift ${id}`}</CommandText>}
      >
        By {by}, <Time at={at} />
        {reason === '' ? '' : `: ${reason}`}
      </AttentionItem>
    ));
}

const SHOWN_MAX = 5;
