import { useCall } from '../../api/index.ts';
import { AttentionItem, CommandText, Mono, Time } from '../../ui/index.ts';

/** Gateways that are gone, and what those that are there find wrong with themselves. */
export function Attention() {
  const { data } = useCall('gateway.list', {}, { everyMs: 15_000 });
  return data?.items.flatMap(({ id, address, connected, since, findings }) => [
    ...(connected
      ? []
      : [
          <AttentionItem
            key={id}
            tone="warn"
            word="gateway away"
            title={<Mono>{address}</Mono>}
            action={<CommandText>countersign doctor</CommandText>}
          >
            Not connected since <Time at={since} />
          </AttentionItem>,
        ]),
    ...findings.map(({ condition, severity, found, remedy }) => (
      <AttentionItem
        key={`${id} ${condition}`}
        tone={severity === 'warning' ? 'warn' : 'danger'}
        word={severity}
        title={found}
      >
        {remedy} <Mono>{address}</Mono>
      </AttentionItem>
    )),
  ]);
}
