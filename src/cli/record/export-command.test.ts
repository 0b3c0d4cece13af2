import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestRest, type TestRest } from '../../api/testing/test-rest.ts';
import { testEntry, testLog } from '../../records/testing/log-fixture.ts';
import { createSeededRandom } from '../../std/index.ts';
import { cosignatureKeyOf, formatWitnessKey } from '../../wire/tlog/index.ts';
import type { CliCommand } from '../command.ts';
import { command as exportCommand } from '../commands/record/export.ts';
import { command as prove } from '../commands/record/prove.ts';
import { command as verify } from '../commands/record/verify-export.ts';
import { askCommand } from '../testing/ask-command.ts';
import { beginExportFolder, exportFiles } from './export-folder.ts';

// Goal: an export in a folder is whole and proven, or says that it is not, whatever was killed in the middle; whoever has it needs no server to find out.

let server: TestRest;
let base: string;
let folder: string;
let key: string;
let count = 0;
const log = testLog(0).with(
  Array.from({ length: 2600 }, (_, seq) => testEntry(seq, { kind: seq % 2 === 0 ? 'denial' : 'intent' })),
);
beforeAll(async () => {
  server = await startTestRest();
  base = mkdtempSync(join(tmpdir(), 'export-'));
  key = join(base, 'witness.vkey');
  writeFileSync(key, `${formatWitnessKey(server.witnessKey)}\n`);
  const shipment = await server.records.open({ ...log, owner: 'spiffe://example.org/gateway' });
  for (let at = 0; at < 2600; at += 650) await shipment.take(log.batch(at, at + 650, at));
});
afterAll(async () => {
  await server.stop();
  rmSync(base, { recursive: true, force: true });
});
beforeEach(() => {
  folder = join(base, `${count++}`);
});

const ask = (command: CliCommand, options: object, ...args: string[]) =>
  askCommand({ apiSocket: server.unix, ...options }, command, ...args);
const verified = (options: object = {}) => ask(verify, { key: [key], ...options }, folder);

describe('an export', () => {
  it('is a folder that anybody with the key of the server verifies, and the ledger says who made it', async () => {
    const { code, value } = await ask(exportCommand, { kind: 'denial' }, folder);
    expect({ code, value }).toMatchObject({ code: 0, value: { lines: 1300, format: 'jsonl' } });
    expect(existsSync(exportFiles.progress(folder))).toBe(false);
    for (const file of [folder, exportFiles.lines(folder, 'jsonl'), exportFiles.manifest(folder)])
      expect(statSync(file).mode & 0o077).toBe(0);
    const lines = readFileSync(exportFiles.lines(folder, 'jsonl'), 'utf8').split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ log: 1, position: 2598, entry: { seq: 2598, kind: 'denial' } });
    expect(await verified()).toMatchObject({ code: 0, value: { ok: true, lines: 1300, filter: '{"kind":"denial"}' } });
    const acts = server.ledger.filter(({ action }) => action === 'ExportRecords');
    expect(acts.at(-2)).toMatchObject({ detail: { step: 'request', selection: '{"kind":"denial","format":"jsonl"}' } });
    expect(acts.at(-2)?.actor).toMatch(/^admin$|^unix:uid:/);
  });

  it('has entries that are proven one by one, by the keys of logs that were signed with it', async () => {
    await ask(exportCommand, { kind: 'denial' }, folder);
    const proof = join(base, 'proof.json');
    expect(await ask(prove, { out: proof }, '1/1400')).toMatchObject({ code: 0, value: { log: 1, position: 1400 } });
    const { code, text, value } = await verified({ proof: [proof] });
    expect({ code, value }).toMatchObject({ code: 0, value: { proven: [1400] } });
    expect(text).toContain('Proven: ');
    writeFileSync(proof, readFileSync(proof, 'utf8').replace('denial', 'deniaI'));
    await expect(verified({ proof: [proof] })).rejects.toMatchObject({ code: 'ERR_LEDGER_PROOF_INVALID' });
    await expect(ask(prove, {}, '1/2600')).rejects.toMatchObject({ status: 404 });
  });

  it('as CSV is as whole', async () => {
    await ask(exportCommand, { format: 'csv' }, folder);
    expect(await verified()).toMatchObject({ code: 0, value: { ok: true, lines: 2601, format: 'csv' } });
  });

  it.each([
    ['a line less', (text: string) => text.replace(/\n.*\n/, '\n'), 'line 2 is missing'],
    ['a line more', (text: string) => `{}\n${text}`, 'line 1 was added'],
    ['a byte that is another', (text: string) => text.replace('"s1"', '"s2"'), 'line 1 was changed'],
    ['nothing', () => '', 'line 1 is missing'],
  ])('with %s is found out', async (_, tamper, found) => {
    await ask(exportCommand, { kind: 'denial' }, folder);
    const file = exportFiles.lines(folder, 'jsonl');
    writeFileSync(file, tamper(readFileSync(file, 'utf8')));
    const { code, text } = await verified();
    expect(code).toBe(1);
    expect(text).toContain(found);
  });

  it('is not verified without a key, nor by one that did not sign it, nor before it is whole', async () => {
    await ask(exportCommand, {}, folder);
    await expect(ask(verify, {}, folder)).rejects.toThrow('--key');
    const other = join(base, 'other.vkey');
    const { publicKey } = log.key;
    writeFileSync(other, formatWitnessKey(cosignatureKeyOf('example.org/witness', publicKey)));
    await expect(verified({ key: [other] })).rejects.toMatchObject({ code: 'ERR_RECORDS_EXPORT' });
    rmSync(exportFiles.manifest(folder));
    await expect(verified()).rejects.toThrow('no export');
  });

  it('goes into a folder of its own, and with --resume no filter goes', async () => {
    await ask(exportCommand, {}, folder);
    await expect(ask(exportCommand, {}, folder)).rejects.toThrow('not empty');
    await expect(ask(exportCommand, { resume: true, kind: 'denial' }, folder)).rejects.toThrow('no filter');
    expect(await ask(exportCommand, { resume: true }, folder)).toMatchObject({ code: 0, value: { whole: true } });
    await expect(ask(exportCommand, { resume: true }, join(base, 'none'))).rejects.toThrow('no export');
  });
});

describe('an export that was cut off', () => {
  /** As it was killed behind its first part. */
  async function cutOff(): Promise<void> {
    const random = createSeededRandom('cut');
    const { json } = await server.ask({ method: 'POST', path: '/v1/record-exports', body: {} });
    const { json: page } = await server.ask({ path: `/v1/record-exports/${json['id']}/lines` });
    mkdirSync(folder, { mode: 0o700 });
    const begun = await beginExportFolder(folder, { id: String(json['id']), format: 'jsonl', random });
    await begun.add(page['lines'] as string[], String(page['next'])); // As the endpoint's schema says.
    await begun.close();
  }
  const whole = async () => {
    const other = join(base, `${count++}`);
    await ask(exportCommand, {}, other);
    return ['records.jsonl', 'manifest.json', 'marks'].map((name) => readFileSync(join(other, name)));
  };
  const files = () => ['records.jsonl', 'manifest.json', 'marks'].map((name) => readFileSync(join(folder, name)));

  it('is gone on from, and is then byte for byte what it would have been', async () => {
    await cutOff();
    expect(await ask(exportCommand, { resume: true }, folder)).toMatchObject({ code: 0, value: { lines: 2600 } });
    expect(files()).toEqual(await whole());
    expect(await verified()).toMatchObject({ code: 0 });
  });

  it('also where more was written than was written down', async () => {
    await cutOff();
    appendFileSync(exportFiles.lines(folder, 'jsonl'), '{"entry":{"acti');
    appendFileSync(exportFiles.marks(folder), 'xy');
    await ask(exportCommand, { resume: true }, folder);
    expect(files()).toEqual(await whole());
  });

  it('is not gone on from where what was written is gone or another', async () => {
    await cutOff();
    const file = exportFiles.lines(folder, 'jsonl');
    const text = readFileSync(file, 'utf8');
    for (const wrong of [text.slice(0, -10), text.replace('"s1"', '"s2"'), '']) {
      writeFileSync(file, wrong);
      await expect(ask(exportCommand, { resume: true }, folder)).rejects.toThrow('not what was written');
    }
    writeFileSync(exportFiles.progress(folder), '{}');
    await expect(ask(exportCommand, { resume: true }, folder)).rejects.toThrow('not what was written');
  });
});
