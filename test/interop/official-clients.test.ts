/**
 * The official Python and Java clients, as any service would use them, against server and agent as they run in production. Each brings a
 * gRPC of its own (C core, Netty) to our sockets.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { User } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { buildJavaClient } from './java-client.ts';
import { startLineProcess } from './line-process.ts';
import { maven, python } from './project.ts';
import { installPythonClient } from './python-client.ts';
import { mayLack } from './toolchain.ts';

// Each changes the life of the entry's SVIDs to another value, so that it changes whoever comes first.
const CLIENTS = [
  { name: 'Python', tool: python, build: installPythonClient, x509Ttl: '30m' },
  { name: 'Java', tool: maven, build: buildJavaClient, x509Ttl: '20m' },
].filter(({ tool }) => !mayLack(tool));

describe.skipIf(CLIENTS.length === 0)('the official clients', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({ store: 'sqlite' });
  });
  afterAll(() => stack?.stop());

  describe.each(CLIENTS)('for $name', ({ build, x509Ttl }) => {
    let command: readonly [string, ...string[]];
    beforeAll(async () => {
      command = await build();
    });
    const client = (user: User) => {
      const [file, ...args] = command;
      const env = { SPIFFE_ENDPOINT_SOCKET: `unix://${stack.folder.workloadApi}` };
      return startLineProcess(file, [...args, WEB], { user, env });
    };

    it('passes every step, and hears of a changed entry', async () => {
      await using web = client(stack.users.web);
      const steps: unknown[] = [];
      for (let line = await web.next(); line['step'] !== 'watching'; line = await web.next()) {
        expect(line).toEqual({ step: line['step'], ok: true });
        steps.push(line['step']);
      }
      expect(steps).toEqual(expect.arrayContaining(STEPS));
      const selectors = [`unix:uid:${stack.users.web ?? process.getuid?.()}`];
      const spec = { spiffeId: WEB, selectors, x509Ttl };
      expect(await stack.apply({ 'entry.yaml': stringify({ kind: 'Entry', name: 'web', spec }) })).toMatchObject({
        code: 0,
      });
      expect(await web.next()).toEqual({ step: 'rotation', ok: true });
      expect(await web.rest()).toMatchObject({ code: 0, lines: [] });
    });

    it('gets nothing as a user without an entry', async () => {
      await using stranger = client(stack.users.stranger);
      const refused = { ok: false, error: expect.stringContaining('no identity issued') };
      expect(await stranger.until('rotation')).toMatchObject(refused);
    });
  });
});

const WEB = 'spiffe://example.org/web';
/** What each client does; some do more. */
const STEPS = [
  'fetch-x509-context',
  'x509-identity',
  'fetch-x509-bundles',
  'fetch-jwt-svid',
  'jwt-identity',
  'fetch-jwt-bundles',
  'validate-jwt-locally',
  'validate-jwt-remotely',
  'refuse-another-audience',
  'x509-source',
  'jwt-source',
];
