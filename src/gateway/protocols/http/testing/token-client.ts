import { parseSpiffeId } from '@countersign/sdk/identity';
import { CLIENT } from '../../../../../test/conformance/protocol-bed.ts';
import type { Target } from '../../../protocol.ts';
import type { GatewaySession } from '../../../sessions/session.ts';

const TOKEN = 'a-token';
const BEARER = { identity: parseSpiffeId(CLIENT), keyId: 'k1', expiresAtS: Number.MAX_SAFE_INTEGER };

/** A request of HTTP/1.1, with the token that {@link admitByToken} takes. */
export function withToken(request: Buffer): Buffer {
  const at = request.indexOf('\r\n') + 2;
  return Buffer.concat([
    request.subarray(0, at),
    Buffer.from(`authorization: Bearer ${TOKEN}\r\n`),
    request.subarray(at),
  ]);
}

/** Has a client prove by that who it is, at the door of that target, and serves it by one session. */
export async function admitByToken(target: Target, session: GatewaySession): Promise<void> {
  const { client, signal } = session;
  const { door } = target;
  if (door?.proof !== 'token') throw new Error('the target has no door for tokens');
  const verify = (token: string) => (token === TOKEN ? BEARER : 'it is another');
  const shown = await door.meet(client, { verify, refused() {}, signal, isKnown: false });
  if (shown === undefined) return;
  let isGivenBack = false;
  const proofs = {
    isOwn: (token: string | undefined) => token === TOKEN,
    gaveBack() {
      isGivenBack = true;
    },
  };
  await target.serve({ ...session, proofs });
  if (isGivenBack) client.end(); // What came next would be the door's.
}
