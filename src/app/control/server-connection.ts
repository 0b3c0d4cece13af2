import { createPrivateKey } from 'node:crypto';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { Connect } from '../../rpc/index.ts';
import type { Clock, PeerClock, Random } from '../../std/index.ts';
import { noteSvidTimes, verifyX509Svid } from '../../wire/x509/index.ts';
import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import { AppError } from '../errors.ts';
import { serverAddresses } from '../server-addresses.ts';

/** Mutual TLS to the server as the identity that the Workload API gives this process: each new connection takes the newest. */
export function serverConnection(options: {
  /** One, or several with commas between them. */
  address: string;
  identity: WorkloadIdentity;
  serverId: SpiffeId;
  clock: Clock;
  random: Random;
  serverClock: PeerClock;
}): Connect {
  const { address, identity, serverId, clock, random, serverClock } = options;
  return {
    ...serverAddresses(address, random),
    tls: {
      identity() {
        const own = identity.current();
        return (
          own && { chainDer: own.chainDer, key: createPrivateKey({ key: own.keyDer, type: 'pkcs8', format: 'der' }) }
        );
      },
      verifyPeer(chainDer) {
        const verdict = verifyX509Svid(
          chainDer,
          (trustDomain) => identity.current()?.bundles.get(trustDomain),
          clock.now(),
        );
        if (!verdict.ok) {
          if (verdict.reason === 'expired' || verdict.reason === 'not-yet-valid') noteSvidTimes(chainDer, serverClock);
          throw new AppError(
            'ERR_APP_SERVER_IDENTITY',
            `whoever answers at ${address} could not be verified: ${verdict.reason}`,
          );
        }
        if (verdict.id.uri !== serverId.uri)
          throw new AppError('ERR_APP_SERVER_IDENTITY', `${address} is ${verdict.id.uri}, not ${serverId.uri}`);
      },
    },
  };
}
