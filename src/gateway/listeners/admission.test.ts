import { createServer, type Server } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTurns } from '../../rpc/index.ts';
import { createManualClock, createSystemRandom } from '../../std/index.ts';
import { encodeLinkPreface, type LinkCaller, linkAlpn } from '../../wire/link/index.ts';
import type { SessionHandle } from '../sessions/sessions.ts';
import type { OpenTarget } from '../targets/open-targets.ts';
import { createTestAuthority, createTestIdentity, identityOf } from '../testing/test-authority.ts';
import { createAdmission } from './admission.ts';
import { portOf } from './socket-listeners.ts';

// Goal: agents of each version get in, and what an agent tells of its caller is kept as told, and no more than that.

const NOW_MS = Date.UTC(2026, 10, 22);
const authority = createTestAuthority('example.org', NOW_MS);
const web = authority.issue('/web');
const identity = identityOf(authority.issue('/countersign/gateway'), [authority]);
const CALLER: LinkCaller = {
  entryId: 'e1',
  nodeId: 'spiffe://example.org/countersign/agent/n1',
  process: { pid: 7, uid: 0, gid: 0, executable: '/usr/bin/psql' },
  ...{ selectors: ['unix:uid:0'], selectorsLeftOut: 0 },
};

let server: Server;
let handles: SessionHandle[];
const open: TLSSocket[] = [];

beforeEach(async () => {
  handles = [];
  const target = { name: 'one' } as OpenTarget; // Nothing else of it is asked for before a session.
  const admission = createAdmission({
    clock: createManualClock(NOW_MS),
    random: createSystemRandom(),
    identity: createTestIdentity(identity),
    sessions: { admit: () => undefined },
    turns: createTurns(),
    stopping: new AbortController().signal,
    findTarget: (name) => (name === 'one' ? target : undefined),
    closedFor: () => undefined,
    refused() {},
    async serve(_target, handle, client) {
      handles.push(handle);
      client.pipe(client);
    },
  });
  admission.present(identity);
  server = createServer({ pauseOnConnect: true, highWaterMark: 1 }, (socket) => {
    socket.on('error', () => {});
    void admission.link(socket, () => {}).catch(() => socket.destroy());
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
  server.close();
});

/** What the gateway answers to these bytes, until it has echoed `hello` or hung up. */
function say(pieces: readonly Buffer[], alpn = linkAlpn): Promise<string> {
  const [port, options] = [portOf(server), { rejectUnauthorized: false, cert: web.certPem, key: web.keyPem }];
  const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: [...alpn], ...options });
  open.push(socket);
  for (const piece of pieces) socket.write(piece);
  let text = '';
  return new Promise((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve(text));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.endsWith('hello')) resolve(text);
    });
  });
}

const HELLO = Buffer.from('hello');
const preface = (caller: LinkCaller | undefined) => encodeLinkPreface({ kind: 'session', target: 'one', caller }, 2);

describe('an agent', () => {
  it('tells who its caller is, which is kept with the session as its word', async () => {
    expect(await say([preface(CALLER), HELLO])).toBe('\0hello');
    expect(handles).toMatchObject([{ target: 'one', caller: { ...CALLER, toldBy: 'agent' } }]);
  });

  it('may say so byte by byte, or say nothing of it', async () => {
    expect(await say([...preface(CALLER)].map((byte) => Buffer.from([byte])).concat(HELLO))).toBe('\0hello');
    expect(await say([preface(undefined), HELLO])).toBe('\0hello');
    expect(handles.map(({ caller }) => caller?.entryId)).toEqual(['e1', undefined]);
  });

  it('of the first version gets in as ever, and is told of by nobody', async () => {
    expect(await say([Buffer.from('CSL1\0\x03onehello')], ['countersign-link/1'])).toBe('\0hello');
    expect(handles).toMatchObject([{ target: 'one', isAside: false, caller: undefined }]);
  });

  it.each([
    ['a preface of another version than the handshake’s', [Buffer.from('CSL1\0\x03onehello')], linkAlpn],
    ['a newer preface by an older handshake', [preface(CALLER)], ['countersign-link/1']],
    ['no link', [HELLO], ['h2']],
  ])('that speaks %s is hung up on', async (_, pieces, alpn) => {
    expect(await say(pieces, alpn)).toBe('');
    expect(handles).toEqual([]);
  });

  it('is who its SVID says, whatever it tells', async () => {
    const lie = { ...CALLER, entryId: 'admin', nodeId: 'spiffe://example.org/countersign/gateway' };
    await say([preface(lie), HELLO]);
    expect(handles.map((handle) => handle.identity.uri)).toEqual(['spiffe://example.org/web']);
  });
});
