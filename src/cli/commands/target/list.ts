import { Control } from '@countersign/sdk/contract';
import { GatewayState } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { answerOf, warningsOf } from '../../declared/gateway-answers.ts';
import { specOf } from '../../declared/specs.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List targets, and the gateways that serve them.',
  options: serverOptions,
  examples: ['countersign target list', 'countersign target list --json'],
  async run(context, input) {
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const [targets, gateways] = await withServer(
      context,
      input,
      async (client) =>
        [
          (await client.unary(Control.method.listResources, { kind: 'Target' }, options)).resources.map(
            ({ name, specJson }) => ({ name, spec: specOf(specJson) }),
          ),
          (await client.unary(Control.method.listGateways, {}, options)).gateways.map((gateway) => ({
            ...answerOf(gateway, 1n),
            ...{ connected: gateway.connected, sinceS: Number(gateway.since), revision: Number(gateway.revision) },
            state: gateway.connected ? (STATES[gateway.state] ?? 'connected') : 'away',
          })),
        ] as const,
    );
    context.emit({ targets, gateways }, () => {
      const rows = targets.map(({ name, spec }) => [name, String(spec['protocol']), addressOf(spec)]);
      const list =
        targets.length === 0
          ? 'There are no targets. Declare one in a file and run `countersign apply -f FILE`.'
          : formatList(['target', 'protocol', 'address'], rows, context.columns);
      const served = gateways.map(({ spiffeId, address, state }) => [spiffeId, address, state]);
      const warnings = warningsOf(gateways.filter(({ connected, taken }) => connected && taken));
      return `${list}\n\n${gateways.length === 0 ? 'No gateway has connected yet.' : [formatList(['gateway', 'address', 'state'], served, context.columns), ...warnings].join('\n')}`;
    });
    return exitCodes.ok;
  },
};

/** Of some protocols a URL, of others host and port. */
function addressOf({ url, host, port }: Readonly<Record<string, unknown>>): string {
  return typeof url === 'string' ? url : `${host}:${port}`;
}

/** Of one that is connected; nobody is told to go to those that have one of these. */
const STATES: Readonly<Partial<Record<GatewayState, string>>> = {
  [GatewayState.STARTING]: 'starting',
  [GatewayState.LEAVING]: 'leaving',
};
