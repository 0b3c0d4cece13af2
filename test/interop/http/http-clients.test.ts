/**
 * HTTP clients as people use them, against Node, nginx and Go's net/http: whatever way they take through the gateway, they see what they see
 * without it: status, body to the byte, and fields.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { type Daemon, freePorts } from '../../support/processes.ts';
import { type Stack, startStack } from '../../support/stack.ts';
import { startSvidFiles } from '../../support/ways.ts';
import { startLineProcess } from '../line-process.ts';
import { mayLack } from '../toolchain.ts';
import { buildGo, CLIENTS, type Command, GATEWAY_STEPS, type HttpClient, STEPS } from './clients.ts';
import { NGINX, SSN, startUpstreams, type UpstreamName, type Upstreams } from './upstreams.ts';

const UPSTREAMS: readonly UpstreamName[] = ['node', 'nginx', 'go'];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'http-upstreams-'));
const doors = new Map<UpstreamName, number>();
let stack: Stack;
let svid: { folder: string; daemon: Daemon };
let upstreams: Upstreams;
const lacks = mayLack(NGINX) || CLIENTS.some(({ name, tool }) => name.startsWith('Go') && mayLack(tool));

beforeAll(async () => {
  if (lacks) return;
  const [goServer] = await buildGo();
  upstreams = await startUpstreams(folder, goServer);
  stack = await startStack({ store: 'sqlite', policies: { mine: POLICIES } });
  const ports = await freePorts(UPSTREAMS.length);
  for (const [at, name] of UPSTREAMS.entries()) doors.set(name, ports[at] ?? 0);
  const targets = UPSTREAMS.map((name) => ({
    ...{ kind: 'Target', name },
    spec: {
      ...{ protocol: 'http', url: `http://127.0.0.1:${upstreams.ports[name]}`, passCookies: true },
      ...{ routes: [{ name: 'person', path: '/v1/person' }], listen: { host: '127.0.0.1', port: doors.get(name) } },
    },
  }));
  const applied = await stack.apply({ 'targets.yaml': targets.map((one) => stringify(one)).join('---\n') });
  expect(applied.code, applied.stderr).toBe(0);
  svid = await startSvidFiles(stack);
  await eventually('the sockets', () => UPSTREAMS.every((name) => fs.existsSync(socketOf(name))));
});
afterAll(async () => {
  await svid?.daemon.end('SIGKILL');
  await stack?.stop();
  await upstreams?.[Symbol.asyncDispose]();
  fs.rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(lacks).each(CLIENTS.filter(({ tool }) => !mayLack(tool)))('$name', (client) => {
  let command: Command;
  const direct = new Map<UpstreamName, Results>();
  const reference = async (name: UpstreamName) => {
    const steps = [...STEPS, ...client.more];
    const known = direct.get(name) ?? (await runSteps(command, steps, { BASE: urlOf(upstreams.ports[name]) }));
    direct.set(name, known);
    return known;
  };

  beforeAll(async () => {
    command = await client.build();
    await enrol(client, command);
  });

  it.each(
    UPSTREAMS,
  )('sees of %s what it sees without the gateway, at the address of `countersign run`', async (name) => {
    const steps = [...STEPS, ...client.more, ...GATEWAY_STEPS];
    const args = ['run', name, '--targets-dir', stack.folder.targets, '--', ...command];
    const env = { STEPS: steps.join(), HOME: '/nonexistent' };
    const { stdout, stderr } = await stack.cli(args, { user: stack.users.web, env });
    expect(stdout, stderr).not.toBe('');
    await expectSame(resultsOf(stdout), await reference(name));
  });

  it.skipIf(!client.sockets)('sees the same at the agent’s socket', async () => {
    const env = { BASE: 'http://api', HTTP_SOCKET: socketOf('nginx') };
    await expectSame(await runSteps(command, [...STEPS, ...GATEWAY_STEPS], env), await reference('nginx'));
  });

  it.skipIf(client.tlsHost === undefined)('sees the same by TLS with the files of its SVID', async () => {
    const env = { BASE: `https://${client.tlsHost}:${doors.get('go')}`, TLS_DIR: svid.folder };
    const steps = [...STEPS, ...client.more, ...GATEWAY_STEPS];
    await expectSame(await runSteps(command, steps, env), await reference('go'));
  });
});

type Results = Readonly<Record<string, unknown>>;

async function expectSame(through: Results, direct: Results): Promise<void> {
  const { denied, masked, ...rest } = through;
  const wanted = Object.fromEntries(Object.keys(rest).map((step) => [step, direct[step]]));
  expect(rest).toEqual(wanted);
  expect(JSON.stringify(direct)).not.toMatch(/failed: |curl ended with/);
  expect(denied).toEqual([403, 'application/problem+json', 'no-permit']);
  expect(masked).toEqual([200, 'application/json', '{"name":"Ada","ssn":"[redacted]"}']);
  expect(JSON.stringify(through)).not.toContain(SSN);
}

/** As `web`; fails with its own words when it ends before. */
async function runSteps(
  [file, ...args]: Command,
  steps: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Results> {
  await using client = startLineProcess(file, args, { user: stack.users.web, env: { ...env, STEPS: steps.join() } });
  const results: Record<string, unknown> = {};
  for (const step of steps) results[step] = (await client.next())['value'];
  return results;
}

function resultsOf(stdout: string): Results {
  const lines = stdout.trim().split('\n');
  return Object.fromEntries(lines.map((line) => JSON.parse(line)).map(({ step, value }) => [step, value]));
}

const socketOf = (name: UpstreamName) => path.join(stack.folder.targets, name, 'http.sock');
const urlOf = (port: number) => `http://127.0.0.1:${port}`;

/** Where all run under one user, what its program is tells whose it is. */
async function enrol({ name }: HttpClient, [file]: Command) {
  if (stack.users.separate || file === process.execPath) return;
  const selectors = [`unix:uid:${process.getuid?.()}`, `unix:path:${fs.realpathSync(file)}`];
  const spec = { spiffeId: 'spiffe://example.org/web', selectors };
  const entry = name.toLowerCase().replace(/[^a-z]+/g, '-');
  await stack.apply({ 'entry.yaml': stringify({ kind: 'Entry', name: `http-${entry}`, spec }) });
}

const POLICIES = UPSTREAMS.map(
  (name) => `
@id("${name}-all") permit(principal == Identity::"spiffe://example.org/web", action, resource in Target::"${name}")
unless { action == Action::"http:delete" };
@id("${name}-masked") @mask("body.ssn:redact")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"${name}/person");`,
).join('');
