import { generateKeyPairSync } from 'node:crypto';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { Authority } from '../authority/index.ts';
import type { TlsIdentity } from '../rpc/index.ts';
import { assert, type Clock, type Log, type Random, type Service, type Timer } from '../std/index.ts';

/** The server's own X.509-SVID, with which it serves TLS: renewed at half-life, and at once when the authorities changed. */
export function createServerIdentity(deps: {
  authority: Authority;
  clock: Clock;
  random: Random;
  log: Log;
  id: SpiffeId;
}): Service & { tls(): TlsIdentity } {
  const { authority, clock, random, log, id } = deps;
  let current: TlsIdentity | undefined;
  let timer: Timer | undefined;
  let unsubscribe = () => {};
  let stopped = false;

  async function renew(): Promise<void> {
    timer?.cancel();
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
    const svid = await authority.issueX509Svid({ spiffeId: id, publicKeyDer, ttlS: 0, dnsNames: [] });
    current = { chainDer: svid.chainDer, key: privateKey };
    const lifeMs = svid.expiresAtS * 1000 - clock.now();
    if (!stopped) timer = clock.after(Math.max(RETRY_MS, lifeMs * (0.45 + 0.1 * random.fraction())), renewLater);
  }

  function renewLater(): void {
    if (stopped) return;
    renew().catch((error) => {
      log.error('app.server.identity_not_renewed', { error });
      timer = clock.after(RETRY_MS, renewLater);
    });
  }

  return {
    async start() {
      await renew();
      unsubscribe = authority.onBundle(renewLater);
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      unsubscribe();
    },
    tls() {
      assert(current, 'the identity is there before anyone can connect');
      return current;
    },
  };
}

const RETRY_MS = 5000;
