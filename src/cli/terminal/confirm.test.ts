import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { confirm } from './confirm.ts';

const WORDS = { question: 'End them?', unasked: 'give --yes to end these' };

async function ask(answer: string, { json = false, isTTY = true, signal = new AbortController().signal } = {}) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  input.end(answer);
  const yes = await confirm({ json, signal }, WORDS, { input: Object.assign(input, { isTTY }), output });
  return { yes, shown: String(output.read()) };
}

it.each(['y\n', 'Y\n', 'yes\n', ' yes \n'])('%j is a yes', async (answer) => {
  expect(await ask(answer)).toEqual({ yes: true, shown: 'End them? [y/N] ' });
});

it.each(['\n', 'n\n', 'yes please\n', 'yy\n', ''])('%j is none', async (answer) => {
  expect((await ask(answer)).yes).toBe(false);
});

it('is refused, and says what to do, where nobody is there to ask', async () => {
  for (const options of [{ isTTY: false }, { json: true }])
    await expect(ask('y\n', options)).rejects.toEqual(
      new UsageError('nobody is there to ask; give --yes to end these'),
    );
});

it('ends with a signal', async () => {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const stop = new AbortController();
  const asked = confirm({ json: false, signal: stop.signal }, WORDS, { input, output: new PassThrough() });
  stop.abort();
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
});
