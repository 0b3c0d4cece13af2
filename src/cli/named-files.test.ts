import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../std/index.ts';
import { type CliContext, exitCodes, UsageError } from './command.ts';
import { failureOf } from './exit-code.ts';
import { ledgerFolder, verifierKey } from './ledger-folder.ts';
import { runChild } from './run-child.ts';
import { withServer } from './server-client.ts';

// Goal: what is wrong with a file that somebody named is told as a wrong use, with the file's name, not as a fault of ours.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'named-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('an admin identity that is named', () => {
  const call = (options: Readonly<Record<string, unknown>>) =>
    withServer(context(), { args: [], options }, async () => 'called');

  it.each([
    ['is not there', () => {}],
    ['holds no certificates', () => files({ 'bundle.pem': 'hello' })],
    ['holds a certificate that is none', () => files({ 'bundle.pem': NO_CERTIFICATE, 'svid.pem': NO_CERTIFICATE })],
    ['is a folder where a file should be', () => mkdirSync(join(folder, 'id', 'bundle.pem'), { recursive: true })],
  ])('and %s is a wrong use, and the remedy is named', async (_, make) => {
    make();
    const failed = call({ server: '127.0.0.1:1', identity: join(folder, 'id') });
    await expect(failed).rejects.toThrow(UsageError);
    await expect(failed).rejects.toThrow(`; \`countersign svid fetch --dir ${join(folder, 'id')}\` writes one`);
  });

  it.each([
    'nonsense',
    '127.0.0.1',
    '127.0.0.1:65536',
    ':1',
    'a:b',
  ])('with the server %s is a wrong use', async (server) => {
    await expect(call({ server, identity: folder })).rejects.toThrow(`--server ${server} is not host:port`);
  });
});

describe('a ledger that is named', () => {
  it.each(['file', 'none'])('and is no folder (%s) is a wrong use', (name) => {
    writeFileSync(join(folder, 'file'), '');
    const input = { args: [], options: { dir: join(folder, name) } };
    expect(() => ledgerFolder(context(), input)).toThrow(UsageError);
  });

  it('with a key that is none is a wrong use', () => {
    writeFileSync(join(folder, 'key'), 'hello');
    const input = { args: [], options: { key: join(folder, 'key') } };
    expect(() => verifierKey(input, folder)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${join(folder, 'key')} is not the verifier key`) }),
    );
  });
});

describe('a program that is named', () => {
  it.each([
    ['is not there', () => {}],
    ['may not be run', () => writeFileSync(join(folder, 'tool'), '', { mode: 0o644 })],
  ])('and %s is a wrong use', async (_, make) => {
    make();
    const failure: unknown = await runChild(spawn(join(folder, 'tool')), 'tool').catch((error: unknown) => error);
    expect(failureOf(failure)).toEqual({ code: 'ERR_USAGE', exitCode: exitCodes.usage });
  });
});

function files(texts: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, 'id'));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, 'id', name), text);
}

function context(): CliContext {
  return {
    say: () => {},
    emit: () => {},
    warn: () => {},
    ...{ json: false, env: {}, configPath: join(folder, 'none.yaml'), configNamed: false },
    ...{ clock: createManualClock(0), random: createSeededRandom('named'), stdin: async () => Buffer.alloc(0) },
    signal: new AbortController().signal,
  };
}

const NO_CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
