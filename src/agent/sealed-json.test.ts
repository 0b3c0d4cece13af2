import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeededRandom, Secret } from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { readSealed, writeSealed } from './sealed-json.ts';

const random = createSeededRandom('sealed');
const sealer = createSealer(new Secret(Buffer.alloc(32, 7)), random);
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealed-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a sealed file', () => {
  const context = 'test';
  const write = (value: unknown) => writeSealed({ path: join(folder, 'f'), context, sealer, random, value });
  const read = () => readSealed({ path: join(folder, 'f'), context, sealer });

  it('is whole or nothing, wherever it was cut off or a byte was changed', async () => {
    await write({ entries: ['a', 'b'] });
    const whole = readFileSync(join(folder, 'f'));
    for (let at = 0; at < whole.length; at++) {
      truncateSync(join(folder, 'f'), at);
      await expect(read(), `cut at ${at}`).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      writeFileSync(join(folder, 'f'), changed);
      await expect(read(), `changed at ${at}`).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
      writeFileSync(join(folder, 'f'), whole);
    }
    expect(await read()).toEqual({ entries: ['a', 'b'] });
  });

  it('that has grown past what is read is not written: the one before it stays', async () => {
    await write('small');
    await expect(write('x'.repeat(65 * 1024 * 1024))).rejects.toThrow('at most 67108864 bytes');
    expect(await read()).toBe('small');
  });
});
