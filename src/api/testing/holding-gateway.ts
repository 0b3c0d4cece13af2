import { randomBytes } from 'node:crypto';
import { Approvals, Control } from '@countersign/sdk/contract';
import { HoldUpdate_State as State } from '@countersign/sdk/contract/gen/countersign/control/v1/approvals_pb.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { askedHold, attempt } from '../../approval/testing/asked.ts';
import type { TestServer } from './test-server.ts';

/** A gateway that asks for answers until the signal, by the protocol that ours speak. */
export async function connectHolding(server: TestServer, name: string, signal: AbortSignal) {
  const client = server.client(await server.identify(`/countersign/gateway/${name}`));
  const gateway = `spiffe://example.org/countersign/gateway/${name}`;
  const own = { advertise: `${name}:7443`, instance: randomBytes(8).toString('hex') };
  const watch = async () => {
    for await (const _ of client.serverStream(Control.method.watchGateway, own, { signal }));
  };
  watch().catch(() => {}); // The test ends it.
  await eventually('it is there', () => server.resources.gateways().some(({ address }) => address === own.advertise));
  /** Asks, or asks again, and gathers what it is told. */
  const ask = async (asked: ReturnType<typeof askedHold>, more: AbortSignal = signal) => {
    const told: {
      readonly state: State;
      readonly approval: string;
      readonly untilMs: bigint;
      readonly reason: string;
    }[] = [];
    const stream = client.serverStream(Approvals.method.holdOperation, { ...own, ...asked }, { signal: more });
    const first = Promise.withResolvers<string>();
    const over = (async () => {
      for await (const one of stream) {
        told.push(one);
        first.resolve(one.approval);
      }
      return told.at(-1);
    })();
    over.catch(first.reject);
    return { ...asked, told, over, id: await first.promise };
  };
  return {
    ...{ client, own, gateway, ask },
    hold: (...[over, shown]: Parameters<typeof askedHold>) => ask(askedHold({ gateway, ...over }, shown)),
    async spend({ hold, digest }: { readonly hold: string; readonly digest: string }, by = attempt()) {
      const request = { ...own, hold, digest: Buffer.from(digest, 'hex'), try: by };
      return (await client.unary(Approvals.method.spendApproval, request, { signal })).statement;
    },
    withdraw: (hold: string, why: string) =>
      client.unary(Approvals.method.withdrawHold, { ...own, hold, why }, { signal }),
  };
}

export { State as HoldState };
