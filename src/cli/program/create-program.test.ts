import { describe, expect, it } from 'vitest';
import { commands } from '../commands.generated.ts';
import { createProgram } from './create-program.ts';
import { groups } from './groups.ts';
import { typedWords } from './typed-words.ts';

// Goal: what the program says of itself holds for everything in the table of commands, fits 80 columns, and is there as JSON.

const COLUMNS = 80;
const groupNames = [...new Set(commands.flatMap(({ name }) => name.split(' ').slice(0, -1)))];
const everything = ['', ...groupNames, ...commands.map(({ name }) => name)];

/** What is printed for these words, by a program whose commands do nothing. */
async function printed(words: readonly string[], json = false): Promise<string> {
  let text = '';
  const program = createProgram({
    ...{ commands, json, columns: COLUMNS, run: async () => {} },
    write: (part) => {
      text += part;
    },
  });
  await program.parseAsync(typedWords(words, commands).own, { from: 'user' }).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('commander.'))) throw error;
  });
  return text;
}

const helpOf = (name: string) => printed([...name.split(' ').filter((word) => word !== ''), '--help']);

describe.each(everything)('the help of "%s"', (name) => {
  it('fits 80 columns', async () => {
    const wide = (await helpOf(name)).split('\n').filter((line) => line.length > COLUMNS);
    expect(wide).toEqual([]);
  });

  it('shows at least one example, that a shell takes as it stands', async () => {
    if (name === '') return;
    const [, examples = ''] = (await helpOf(name)).split('\nExamples:\n');
    const [row] = [...commands, ...Object.entries(groups).map(([word, rest]) => ({ name: word, ...rest }))].filter(
      (one) => one.name === name,
    );
    const pasted = examples.replaceAll(/ \\\n +/g, ' ').split('\n');
    expect(pasted.filter((line) => line !== '')).toEqual(row?.examples.map((line) => `  $ ${line}`));
    expect(row?.examples.length).toBeGreaterThan(0);
  });

  it('is one line of JSON with --json, and has the same summary', async () => {
    const words = name.split(' ').filter((word) => word !== '');
    const text = await printed([...words, '--help', '--json'], true);
    expect(text.trimEnd()).not.toContain('\n');
    const { summary } = JSON.parse(text);
    expect((await helpOf(name)).replaceAll(/\s+/g, ' ')).toContain(summary);
  });
});

it.each(groupNames)('the group %s named alone says what is in it, each command with what it does', async (name) => {
  expect(await printed([name])).toBe(await helpOf(name));
  expect(await printed([name, '--json'], true)).toBe(await printed([name, '--help', '--json'], true));
  const { commands: members } = JSON.parse(await printed([name], true));
  const own = commands.filter((one) => one.name.startsWith(`${name} `));
  expect(members).toEqual(own.map((one) => ({ name: one.name, summary: one.summary })));
});

it('there are words for each group, and for no other', () => {
  expect(Object.keys(groups).toSorted()).toEqual(groupNames.toSorted());
});

it('the version is JSON with --json', async () => {
  expect(JSON.parse(await printed(['--version', '--json'], true))).toEqual({
    version: expect.stringMatching(/^\d/),
    node: process.versions.node,
  });
});
