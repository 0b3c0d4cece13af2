import { randomBytes } from 'node:crypto';
import { Revocations } from '@countersign/sdk/contract';
import type { RevocationState } from '../../model/index.ts';
import type { TlsIdentity } from '../../rpc/index.ts';
import { verifyRevocationUpdate } from '../../wire/revocations/index.ts';
import type { TestServer } from './test-server.ts';

/** What a test's verifier does once it has taken a state; says whether it is in effect. */
export type TakeRevocations = (state: RevocationState) => boolean;

/** An agent or gateway that watches until the signal, takes what it is told as ours do, and says so. */
export async function connectVerifier(
  server: TestServer,
  given: {
    readonly identity: TlsIdentity;
    /** Of a gateway: its name. */
    readonly gateway?: string;
    readonly take?: TakeRevocations;
    readonly known?: RevocationState;
    readonly signal: AbortSignal;
  },
) {
  const { identity, gateway, take = () => true, signal } = given;
  const client = server.client(identity);
  const own = gateway === undefined ? {} : { advertise: `${gateway}:7443`, instance: gateway };
  const nonce = randomBytes(16);
  const seen = { state: given.known, heartbeats: 0, wrong: [] as string[] };
  const { incarnation = '', sequence = 0, mark = '' } = given.known ?? {};
  const said = {
    ...own,
    nonce,
    incarnation,
    sequence: BigInt(sequence),
    mark,
    freshForMs: 60_000n,
    thenRefuses: true,
    format: 1,
  };
  let told = () => {};
  const first = new Promise<void>((resolve) => {
    told = resolve;
  });
  const watch = async () => {
    let count = 0;
    for await (const { statement, body } of client.serverStream(Revocations.method.watchRevocations, said, {
      signal,
    })) {
      const { jwtAuthorities: authorities } = server.authority.bundle();
      const options = { trustDomain: 'example.org', authorities, nowMs: server.clock.now(), nonce, count };
      const result = verifyRevocationUpdate({ ...options, statement, body, known: seen.state });
      if (!result.ok) seen.wrong.push(result.reason);
      if (!result.ok) continue;
      count += 1;
      seen.state = result.state;
      if (result.isHeartbeat) seen.heartbeats += 1;
      else if (take(result.state)) {
        const { incarnation, sequence, mark } = result.state;
        const ack = { ...own, incarnation, mark, nonce, sequence: BigInt(sequence) };
        await client.unary(Revocations.method.ackRevocations, ack, { signal });
      }
      told();
    }
  };
  const ended = watch();
  await Promise.race([first, ended]);
  return { client, seen, ended: ended.catch((error: unknown) => error) };
}
