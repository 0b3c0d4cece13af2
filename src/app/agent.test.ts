import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../std/index.ts';
import { createAgentApp } from './agent.ts';
import { memberSchemas } from './members.ts';

let folder: string;
let bundle: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-app-'));
  bundle = join(folder, 'bundle.pem');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function create() {
  const text = `trustDomain: example.org\nagent: { trustBundle: ${bundle}, dataDir: ${folder}/data, joinToken: env:NONE }`;
  const { agent, trustDomain } = parseConfig({ file: 'c.yaml', text, members: memberSchemas, env: {} });
  if (agent === undefined) throw new Error('the configuration has a section agent');
  const deps = { clock: createManualClock(0), random: createSeededRandom('agent'), log: createSilentLog(), env: {} };
  return createAgentApp({ ...deps, trustDomain, config: agent });
}

describe('the certificates by which an agent knows its server', () => {
  it('are read where only root or the agent may write', () => {
    writeFileSync(bundle, 'PEM', { mode: 0o644 });
    expect(create).not.toThrow();
  });

  it('are refused where others may write them, or another file in their place', () => {
    const refused = (why: string) =>
      expect.objectContaining({ code: 'ERR_APP_CONFIG', message: expect.stringContaining(why) });
    writeFileSync(bundle, 'PEM', { mode: 0o644 });
    chmodSync(bundle, 0o646);
    expect(create).toThrow(refused(`${bundle} may be written by others; chmod go-w it`));
    chmodSync(bundle, 0o644);
    chmodSync(folder, 0o777);
    expect(create).toThrow(refused(`${folder}, on the way to ${bundle}, may be written by others`));
  });

  it('are asked for when there are none', () => {
    expect(create).toThrow(`agent.trustBundle can not be read: there is no ${bundle}`);
  });
});
