import { expect, it } from 'vitest';
import type { SharedDoor } from '../companions.ts';
import { GatewayError } from '../errors.ts';
import { openSharedDoor } from './shared-door.ts';

// Goal: a door that others share is listened at once it is theirs, and theirs until it is closed.

const place = { target: 'shop', host: 'localhost', port: 5433 };

function start({ shut = false, taken = false } = {}) {
  const events: string[] = [];
  const companions = {
    async takeDoor({ target, address, port }: SharedDoor) {
      if (shut) throw new GatewayError('ERR_GATEWAY_LISTEN', 'it is the door of target books');
      events.push(`take ${target} ${address} ${port}`);
      return { leave: () => void events.push('leave') };
    },
  };
  const listen = async ({ host, port }: { host: string; port: number }) => {
    events.push(`listen ${host} ${port}`);
    if (taken) throw new GatewayError('ERR_GATEWAY_LISTEN', 'in use');
    return { address: () => null, close: () => void events.push('close') };
  };
  return { events, companions, listen };
}

it('is taken, then listened at by its address, and left once it is closed', async () => {
  const { events, companions, listen } = start();
  const door = await openSharedDoor(companions, { ...place, host: '127.0.0.1' }, listen);
  expect(events).toEqual(['take shop 127.0.0.1 5433', 'listen 127.0.0.1 5433']);
  door.close();
  expect(events.slice(2)).toEqual(['close', 'leave']);
});

it('of a name is taken by the address that is listened at', async () => {
  const { events, companions, listen } = start();
  await openSharedDoor(companions, place, listen);
  expect(events.join()).toMatch(/^take shop (127\.0\.0\.1|::1) 5433,listen \1 5433$/);
});

it('is not listened at where it is not to be had', async () => {
  const { events, companions, listen } = start({ shut: true });
  await expect(openSharedDoor(companions, place, listen)).rejects.toMatchObject({ code: 'ERR_GATEWAY_LISTEN' });
  expect(events).toEqual([]);
});

it('is left where it can not be listened at', async () => {
  const { events, companions, listen } = start({ taken: true });
  await expect(openSharedDoor(companions, place, listen)).rejects.toThrow('in use');
  expect(events.at(-1)).toBe('leave');
});

it('of a name that nobody knows is told of', async () => {
  const { companions, listen } = start();
  await expect(openSharedDoor(companions, { ...place, host: 'nowhere.invalid' }, listen)).rejects.toMatchObject({
    code: 'ERR_GATEWAY_LISTEN',
    message: expect.stringMatching(/^can't listen on nowhere\.invalid port 5433: /),
  });
});

it('is its own alone where there are no others, or where the system chooses the port', async () => {
  const { events, companions, listen } = start();
  await openSharedDoor(undefined, place, listen);
  await openSharedDoor(companions, { ...place, port: 0 }, listen);
  expect(events).toEqual(['listen localhost 5433', 'listen localhost 0']);
});
