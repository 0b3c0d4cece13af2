/**
 * The pages for languages are followed by the letter: each file that they show is written, each command run, and what it prints is what
 * the page says. Then each program is left running until the identity that it began with has ended.
 */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../src/std/index.ts';
import type { Reader } from '../docs/reader.ts';
import { isAtRest } from '../support/at-rest.ts';
import { eventually } from '../support/eventually.ts';
import { run } from '../support/processes.ts';
import { startConversation } from './guides/conversation.ts';
import { blocksOf, fileOf, PAGES, scriptOf } from './guides/pages.ts';
import { openShop, shortenLives } from './guides/shop.ts';
import { mayLack } from './toolchain.ts';

const pages = PAGES.filter(({ tool }) => !mayLack(tool));
const clock = createSystemClock();
let reader: Reader;
const folderOf = (name: string) => path.join(reader.work, name);

beforeAll(async () => {
  reader = await openShop();
});
afterAll(() => reader?.[Symbol.asyncDispose]());

describe.each(pages)('the page for $name', (page) => {
  let printed = '';
  beforeAll(async () => {
    fs.mkdirSync(folderOf(page.name));
    await page.prepare(reader, folderOf(page.name));
  });

  it.each(
    blocksOf(page).map((block) => [block.line, block.language, block] as const),
  )('line %i: %s', async (_line, _language, block) => {
    const { language, text } = block;
    const file = fileOf(block);
    if (file !== undefined) return write(path.join(folderOf(page.name), file), reader.asHere(text));
    if (language === 'text') return expect(printed).toBe(text);
    expect(language).toBe('sh');
    const finished = await run('bash', ['-c', scriptOf(reader, folderOf(page.name), text)], { env: reader.env });
    expect(finished.code, finished.stdout + finished.stderr).toBe(0);
    printed = finished.stdout;
  });
});

describe('the programs of the pages', () => {
  const programs = pages.flatMap((page) => {
    const blocks = blocksOf(page);
    return blocks.flatMap(({ text, line, language }, index) => {
      const [, id] = ASKED.exec(text) ?? [];
      // What it prints for one line of input stands in the block behind.
      return id === undefined || language !== 'sh'
        ? []
        : [{ page, line, id, text, answer: blocks[index + 1]?.text ?? '' }];
    });
  });

  it('go on when the identity that they began with has ended', async () => {
    const { stack } = reader;
    await shortenLives(reader, LIFE);
    const sessions = async () => (await stack.dba(SESSIONS)).map(({ pid }) => pid);
    const running = programs.map(({ page, text }) =>
      startConversation('bash', ['-c', scriptOf(reader, folderOf(page.name), text.replace(ASKED, ''))], reader.env),
    );
    try {
      const expectAnswers = async (when: string) => {
        const others = await Promise.all(
          programs.map(async ({ page, line, id, answer }, index) => {
            const got = await running[index]?.ask(id, answer);
            return got === answer ? [] : [`${page.name}.md:${line} answers ${when}: ${got}`];
          }),
        );
        expect(others.flat().join('\n')).toBe('');
      };
      await expectAnswers('at first');
      const first = await sessions();
      const { validToDate } = new X509Certificate(fs.readFileSync(path.join(reader.work, 'svid/svid.pem')));
      const isOver = async () => {
        const left = await sessions();
        return clock.now() > validToDate.getTime() && first.every((pid) => !left.includes(pid));
      };
      await eventually('the identity that they began with has ended, and all sessions of it', isOver, {
        withinMs: 120_000,
      });
      // A session that has ended at the target is told of by the gateway, then by the agent, then read by the program: a chain at rest has done that.
      const chain = () => [
        stack.roles.gateway.pid,
        stack.roles.agent.pid,
        ...running.flatMap((one) => one.processes()),
      ];
      let looks = 0;
      await eventually('all have heard of it', () => {
        looks = chain().every(isAtRest) ? looks + 1 : 0;
        return looks >= 5;
      });
      await expectAnswers('afterwards');
    } finally {
      await Promise.all(running.map((one) => one.end()));
    }
  });
});

function write(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

/** How a block gives its program a line of input. */
const ASKED = /\becho (\d+) \| /;
/** Long enough for all programs to start on a busy machine before the first identity ends. */
const LIFE = '40s';
/** But for the gateway's own. */
const SESSIONS = `select pid from pg_stat_activity where usename = 'shop_app' and application_name <> 'countersign catalog'`;
