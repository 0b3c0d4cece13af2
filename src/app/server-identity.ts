import { generateKeyPairSync } from 'node:crypto';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { Authority } from '../authority/index.ts';
import type { TlsIdentity } from '../rpc/index.ts';
import { assert, type Clock, type Log, type Service, type Timer } from '../std/index.ts';

/** The server's own identity while it runs. */
export interface ServerIdentity extends Service {
  tls(): TlsIdentity;
  /** When the SVID that is shown was issued and ends; undefined before the first. */
  life(): { readonly issuedMs: number; readonly expiresMs: number } | undefined;
}

/**
 * The server's own X.509-SVID, with which it serves TLS: renewed at half-life, when the authorities changed, and within seconds when the
 * wall clock was stepped out of its time (a timer alone would wait for half a life that is already over).
 */
export function createServerIdentity(deps: {
  authority: Pick<Authority, 'issueX509Svid' | 'onBundle'>;
  clock: Clock;
  log: Log;
  id: SpiffeId;
  /** Names that it has besides, for clients that know nothing of SPIFFE. */
  dnsNames?: readonly string[];
}): ServerIdentity {
  const { authority, clock, log, id, dnsNames = [] } = deps;
  let current: { identity: TlsIdentity; issuedMs: number; expiresMs: number } | undefined;
  /** The authorities have changed since it was issued. */
  let outdated = false;
  let timer: Timer | undefined;
  let unsubscribe = () => {};
  let stopped = false;

  async function renew(): Promise<void> {
    const issuedMs = clock.now();
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
    outdated = false;
    const svid = await authority.issueX509Svid({ spiffeId: id, publicKeyDer, ttlS: 0, dnsNames });
    current = { identity: { chainDer: svid.chainDer, key: privateKey }, issuedMs, expiresMs: svid.expiresAtS * 1000 };
  }

  function isDue(): boolean {
    if (!current || outdated) return true;
    const nowMs = clock.now();
    return nowMs < current.issuedMs || nowMs >= (current.issuedMs + current.expiresMs) / 2;
  }

  async function look(): Promise<void> {
    try {
      if (isDue()) await renew();
    } catch (error) {
      outdated = true;
      log.error('app.server.identity_not_renewed', { error });
    }
    if (!stopped) timer = clock.after(LOOK_EVERY_MS, () => void look());
  }

  return {
    async start() {
      await renew();
      unsubscribe = authority.onBundle(() => {
        outdated = true; // Due at once; what it has serves until then.
        timer?.cancel();
        void look();
      });
      timer = clock.after(LOOK_EVERY_MS, () => void look());
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      unsubscribe();
    },
    tls() {
      assert(current, 'the identity is there before anyone can connect');
      return current.identity;
    },
    life: () => current,
  };
}

const LOOK_EVERY_MS = 2000;
