import { lookup } from 'node:dns/promises';
import type { Server } from 'node:net';
import { messageOf } from '../../std/index.ts';
import type { Companions } from '../companions.ts';
import { GatewayError } from '../errors.ts';

/** A door that is open. */
export interface OpenDoor extends Pick<Server, 'address'> {
  close(): void;
}

/** Where a door for direct clients of a target is to be. */
export interface DoorPlace {
  readonly target: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Opens a door behind which others may be: it is theirs as well, for that target, and nobody else's. `listen` opens it here.
 * @throws GatewayError ERR_GATEWAY_LISTEN
 */
export async function openSharedDoor(
  companions: Pick<Companions, 'takeDoor'> | undefined,
  { target, host, port }: DoorPlace,
  listen: (where: { readonly host: string; readonly port: number }) => Promise<OpenDoor>,
): Promise<OpenDoor> {
  // The system gives each of them another port then.
  if (companions === undefined || port === 0) return listen({ host, port });
  const { address } = await lookup(host).catch((cause: unknown) => {
    throw new GatewayError('ERR_GATEWAY_LISTEN', `can't listen on ${host} port ${port}: ${messageOf(cause)}`, {
      cause,
    });
  });
  const place = await companions.takeDoor({ target, address, port });
  try {
    const door = await listen({ host: address, port });
    return {
      address: () => door.address(),
      close() {
        door.close();
        place.leave();
      },
    };
  } catch (error) {
    place.leave();
    throw error;
  }
}
