import type { MessageInitShape } from '@bufbuild/protobuf';
import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import type { X509SVIDResponseSchema } from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { Code, createRpcServer, implement, RpcError, type RpcServer } from '../../rpc/index.ts';
import { type Clock, createSilentLog } from '../../std/index.ts';

export type X509Response = MessageInitShape<typeof X509SVIDResponseSchema>;

/** A Workload API that says what the test tells it to. */
export interface FakeWorkloadApi {
  /** What streams see; undefined = PERMISSION_DENIED. */
  show(response: X509Response | undefined): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly audiences: string[][];
  /** What streams of token keys see, key sets by trust domain. */
  showKeys(bundles: Readonly<Record<string, Uint8Array>>): void;
}

export function createFakeWorkloadApi(deps: { clock: Clock; socket: string }): FakeWorkloadApi {
  const audiences: string[][] = [];
  let current: X509Response | undefined;
  let keys: Record<string, Uint8Array> = {};
  let waiting: (() => void)[] = [];
  let server: RpcServer | undefined;
  const changed = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  const wakeAll = () => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const service = implement(SpiffeWorkloadAPI, {
    async fetchJWTBundles(_request, context, send) {
      for (;;) {
        const next = changed(context.signal);
        await send({ bundles: keys });
        await next;
      }
    },
    async fetchX509SVID(_request, context, send) {
      if (context.metadata.get('workload.spiffe.io')?.[0] !== 'true')
        throw new RpcError(Code.INVALID_ARGUMENT, 'header');
      for (;;) {
        if (!current) throw new RpcError(Code.PERMISSION_DENIED, 'no identity issued');
        const next = changed(context.signal);
        await send(current);
        await next;
      }
    },
    async fetchJWTSVID({ audience, spiffeId }) {
      audiences.push(audience);
      return { svids: spiffeId === '' ? [] : [{ spiffeId, svid: 'token', hint: '' }] };
    },
  });
  return {
    audiences,
    show(response) {
      current = response;
      wakeAll();
    },
    showKeys(bundles) {
      keys = { ...bundles };
      wakeAll();
    },
    async start() {
      const { clock, socket } = deps;
      const limits = { graceMs: 0 };
      server = createRpcServer({
        clock,
        log: createSilentLog(),
        services: [service],
        listen: { unix: socket },
        limits,
      });
      await server.start(new AbortController().signal);
    },
    async stop() {
      await server?.stop();
      server = undefined;
    },
  };
}
