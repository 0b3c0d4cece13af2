import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import { type CliContext, exitCodes, UsageError } from '../command.ts';
import { command as verify } from '../commands/ledger/verify.ts';
import { withServer } from '../connections/server-client.ts';
import { knownCheckpoints, ledgerFolder, verifierKey } from '../ledger/folder.ts';
import { runChild } from '../processes/run-child.ts';
import { failureOf } from '../program/exit-code.ts';
import { readDeclared } from './files.ts';
import { policyCases } from './policy-files.ts';

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

  it('by a role that keeps none is a wrong use: it is not taken for another', () => {
    const input = { args: [], options: { of: 'sever' } };
    expect(() => ledgerFolder(context(), input)).toThrow('--of is gateway or server, not sever');
  });

  it('with a key that is none is a wrong use', () => {
    writeFileSync(join(folder, 'key'), 'hello');
    const input = { args: [], options: { key: join(folder, 'key') } };
    expect(() => verifierKey(input, folder)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${join(folder, 'key')} is not the verifier key`) }),
    );
  });
});

it('a proof that is not there is told so, before any key is looked for', async () => {
  const proof = join(folder, 'none');
  const verified = async () => verify.run(context(), { args: [], options: { proof } });
  await expect(verified()).rejects.toThrow(UsageError);
  await expect(verified()).rejects.toThrow(`there is no proof ${proof}`);
});

describe('a checkpoint that is named', () => {
  const read = (name: string) => knownCheckpoints({ args: [], options: { checkpoint: [join(folder, name)] } });

  it('is handed on when it is a signed note, whoever signed it', () => {
    const note = `example.org/log\n1\n\n\u2014 other ${Buffer.alloc(68).toString('base64')}\n`;
    writeFileSync(join(folder, 'note'), note);
    expect(read('note')).toEqual([note]);
    expect(knownCheckpoints({ args: [], options: {} })).toEqual([]);
  });

  it.each([
    ['is none', () => writeFileSync(join(folder, 'note'), 'hello\n')],
    ['is a folder', () => mkdirSync(join(folder, 'note'))],
    ['is not there', () => {}],
  ])('and %s is a wrong use, not a finding', (_, make) => {
    make();
    expect(() => read('note')).toThrow(UsageError);
    expect(() => read('note')).toThrow(/(note is no checkpoint: .|there is no checkpoint .*note$)/);
  });
});

describe('a file or folder to apply that is named', () => {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

  it.each([
    ['nothing', () => {}, /^there is no \*\.yaml or \*\.cedar below .*named-/],
    ['only tests', () => write('a.test.yaml', '[]'), /^there is no \*\.yaml or \*\.cedar below .*named-/],
    ['a file that says nothing', () => write('a.yaml', '# later\n'), /declares no resource$|a\.yaml/],
  ])('and holds %s is a wrong use', (_, make, message) => {
    make();
    expect(() => readDeclared([folder])).toThrow(UsageError);
    expect(() => readDeclared([folder])).toThrow(message);
  });

  it('beside one that declares something is refused as well', () => {
    mkdirSync(join(folder, 'em'));
    write('a.cedar', 'permit(principal, action, resource);');
    expect(readDeclared([join(folder, 'a.cedar')]).resources).toHaveLength(1);
    expect(() => readDeclared([join(folder, 'a.cedar'), join(folder, 'em')])).toThrow(/below .*em$/);
  });

  it.each([
    ['no YAML', 'a: [', /a\.yaml:\d+:\d+: ./],
    ['an unknown key', 'kind: Policy\nname: a\nspec: { cedra: "" }\n', /a\.yaml:3:\d+: ./],
  ])('and is %s is a wrong use with file and line', (_, text, message) => {
    write('a.yaml', text);
    const failure = thrownBy(() => readDeclared([folder]));
    expect(failure).toMatchObject({ message: expect.stringMatching(message) });
    expect(failureOf(failure)).toEqual({ code: expect.stringMatching(/^ERR_CONFIG_/), exitCode: exitCodes.usage });
  });

  it('and is a test of policies that is none is a wrong use too', () => {
    write('a.test.yaml', '- nmae: x\n');
    expect(() => policyCases({ args: [folder], options: {} })).toThrow(UsageError);
    expect(() => policyCases({ args: [folder], options: {} })).toThrow(/a\.test\.yaml:1:/);
  });
});

it('a key that can not be read is told so, not as one that is malformed', () => {
  mkdirSync(join(folder, 'key'));
  const input = { args: [], options: { key: join(folder, 'key') } };
  expect(() => verifierKey(input, folder)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(`the verifier key ${join(folder, 'key')} can't be read: `),
    }),
  );
});

describe('a program that is named', () => {
  it.each([
    ['is not there', () => {}],
    ['may not be run', () => writeFileSync(join(folder, 'tool'), '', { mode: 0o644 })],
  ])('and %s is a wrong use', async (_, make) => {
    make();
    const failure: unknown = await runChild(join(folder, 'tool'), [], {}).catch((error: unknown) => error);
    expect(failureOf(failure)).toEqual({ code: 'ERR_USAGE', exitCode: exitCodes.usage });
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

function files(texts: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, 'id'));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, 'id', name), text);
}

function context(): CliContext {
  return {
    say: () => {},
    emit: () => {},
    warn: () => {},
    ...{ json: false, columns: 80, commands: [], env: {}, configPath: join(folder, 'none.yaml'), configNamed: false },
    ...{ clock: createManualClock(0), random: createSeededRandom('named'), stdin: async () => Buffer.alloc(0) },
    signal: new AbortController().signal,
  };
}

const NO_CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
