/** The official Python client (py-spiffe), as any service would use it, against server and agent as they run in production. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { run, type User } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startLineProcess } from './line-process.ts';

const python = pythonCommand();

// Without Python it is skipped, but never in CI.
describe.skipIf(python === undefined && process.env['CI'] !== 'true')('the official Python client', () => {
  let stack: Stack;
  const client = (user: User) =>
    startLineProcess(path.join(ENVIRONMENT, 'bin/python'), ['-B', path.join(SOURCES, 'client.py'), WEB], {
      ...{ user, env: { SPIFFE_ENDPOINT_SOCKET: `unix://${stack.folder.workloadApi}` } },
    });

  beforeAll(async () => {
    [stack] = await Promise.all([startStack({ store: 'sqlite' }), installClient()]);
  });
  afterAll(() => stack?.stop());

  it('fetches and validates all it can, and hears of a changed entry', async () => {
    await using web = client(stack.users.web);
    for (const step of STEPS) expect(await web.next()).toEqual({ step, ok: true });
    expect(await web.next()).toEqual({ step: 'watching' });
    const selectors = [`unix:uid:${stack.users.web ?? process.getuid?.()}`];
    const entry = { kind: 'Entry', name: 'web', spec: { spiffeId: WEB, selectors, x509Ttl: '30m' } };
    expect(await stack.apply({ 'entry.yaml': stringify(entry) })).toMatchObject({ code: 0 });
    expect(await web.next()).toEqual({ step: 'rotation', ok: true });
    expect(await web.rest()).toMatchObject({ code: 0, lines: [] });
  });

  it('gets nothing as a user without an entry', async () => {
    await using stranger = client(stack.users.stranger);
    expect(await stranger.next()).toMatchObject({
      ...{ step: 'fetch-x509-svid', ok: false, error: expect.stringContaining('no identity issued') },
    });
  });
});

/** The machine's own Python before any other: those of version managers lie in homes that other users may not enter. */
function pythonCommand(): string | undefined {
  const places = ['/usr/bin', ...(process.env['PATH'] ?? '').split(path.delimiter)];
  return places.map((place) => path.join(place, 'python3')).find((file) => fs.existsSync(file));
}

/** Installs the client into an environment beside its source, once for each list of requirements. */
async function installClient(): Promise<void> {
  if (python === undefined) throw new Error('there is no python3: install Python 3.10 or later, with venv');
  const requirements = path.join(SOURCES, 'requirements.txt');
  const wanted = fs.readFileSync(requirements, 'utf8');
  const done = path.join(ENVIRONMENT, 'installed.txt');
  if (fs.existsSync(done) && fs.readFileSync(done, 'utf8') === wanted) return;
  // Its own environment comes through: where packages come from and what is cached is the machine's affair.
  const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  const steps: [string, ...string[]][] = [
    [python, '-m', 'venv', '--clear', ENVIRONMENT],
    [path.join(ENVIRONMENT, 'bin/pip'), 'install', '--quiet', '--only-binary', ':all:', '--requirement', requirements],
  ];
  for (const [file, ...args] of steps) {
    const { code, stdout, stderr } = await run(file, args, { env, withinMs: INSTALL_MS_MAX });
    if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  }
  fs.writeFileSync(done, wanted);
}

const SOURCES = path.join(import.meta.dirname, 'python');
const ENVIRONMENT = path.join(SOURCES, '.venv');
const INSTALL_MS_MAX = 120_000;
const WEB = 'spiffe://example.org/web';
const STEPS = [
  'fetch-x509-svid',
  'x509-identity',
  'fetch-x509-bundles',
  'x509-authorities',
  'fetch-x509-context',
  'default-svid',
  'fetch-jwt-svid',
  'jwt-identity',
  'fetch-jwt-bundles',
  'validate-jwt-locally',
  'validate-jwt-remotely',
  'refuse-another-audience',
  'x509-source',
  'x509-source-svid',
  'jwt-source',
  'jwt-source-svid',
];
