import { Control, Questions, Revocations } from '@countersign/sdk/contract';
import type { GatewayUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Acknowledgement, WatchRequest } from '../../known-revocations/index.ts';
import { type GatewayReport, type GatewayState, gatewayStateNumbers } from '../../model/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import type { RevocationUpdate } from '../../wire/revocations/index.ts';
import type { AnswerPage } from './gateway-questions.ts';

/** What a stream of revocations is asked with: what is known, and what happens when nothing more is heard. */
type AskedRevocations = WatchRequest & { readonly freshForMs: bigint; readonly thenRefuses: boolean };

/** What a gateway says to the server, and hears from it. */
export interface GatewayControl {
  /** Which process of which gateway it is, as in each request. */
  own(): { readonly advertise: string; readonly instance: string };
  /** The server's updates, for as long as the gateway is there. */
  updates(client: RpcClient, state: GatewayState, signal: AbortSignal): AsyncIterable<GatewayUpdate>;
  /** Resolves to how many other gateways agents are told of. @throws RpcError */
  report(client: Pick<RpcClient, 'unary'>, report: GatewayReport, signal: AbortSignal): Promise<number>;
  /** The feed of revocations, likewise. */
  revocations(client: RpcClient, request: AskedRevocations, signal: AbortSignal): AsyncIterable<RevocationUpdate>;
  /** Says that what that state ends has ended. @throws RpcError */
  acknowledge(client: Pick<RpcClient, 'unary'>, word: Acknowledgement, signal: AbortSignal): Promise<void>;
  /** Resolves to true when nobody waits for more of the answer. @throws RpcError */
  answer(client: Pick<RpcClient, 'unary'>, page: AnswerPage, signal: AbortSignal): Promise<boolean>;
}

/**
 * Creates that of the gateway that agents reach at the address that `advertised` tells. `instance` tells it from all others that may say something
 * of that address: nobody else is to know it, and it stays over restarts, so that a server never counts one gateway twice.
 */
export function createGatewayControl(advertised: () => string, instance: string): GatewayControl {
  const own = () => ({ advertise: advertised(), instance });
  return {
    own,
    updates: (client, state, signal) =>
      client.serverStream(
        Control.method.watchGateway,
        { ...own(), state: gatewayStateNumbers[state], principals: true, questions: true },
        { signal },
      ),
    revocations: (client, { sequence, ...request }, signal) =>
      client.serverStream(
        Revocations.method.watchRevocations,
        { ...own(), ...request, sequence: BigInt(sequence) },
        { signal },
      ),
    async acknowledge(client, { sequence, ...word }, signal) {
      const request = { ...own(), ...word, sequence: BigInt(sequence) };
      await client.unary(Revocations.method.ackRevocations, request, { signal, timeoutMs: ANSWER_MS_MAX });
    },
    async report(client, { revision, findings, state }, signal) {
      const { others } = await client.unary(
        Control.method.reportGateway,
        {
          ...{ ...own(), revision: BigInt(revision), state: gatewayStateNumbers[state] },
          findings: findings.map((finding) => ({ ...finding })),
        },
        { signal, timeoutMs: REPORT_MS_MAX },
      );
      return others;
    },
    async answer(client, page, signal) {
      const request = { ...own(), ...page };
      const { over } = await client.unary(Questions.method.answer, request, { signal, timeoutMs: ANSWER_MS_MAX });
      return over;
    },
  };
}

const REPORT_MS_MAX = 10_000;
/** Nobody waits longer. */
const ANSWER_MS_MAX = 5_000;
