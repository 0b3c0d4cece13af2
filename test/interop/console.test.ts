/**
 * The console in a real Chromium, on the real stack: somebody comes in by a link, sees who is connected, ends a session, finds what it did, and proves it in
 * the browser; texts of strangers stay texts; everybody can use every page. `CONSOLE_SHOTS=<folder>` keeps a picture of each page.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumBinary, launchChromium, openPerson, type Person, seriousFindings } from '../support/chromium.ts';
import { eventually } from '../support/eventually.ts';
import { openRawSession, query } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';
import { mayLack } from './toolchain.ts';

const HOSTILE_TABLE = '<img src=x onerror=alert(1)>';
const HOSTILE_APPLICATION = '"><script>alert(2)</script>\u202etxt';
const SHOTS = process.env['CONSOLE_SHOTS'];

describe.skipIf(mayLack(chromiumBinary))('the console', () => {
  let stack: Stack;
  let browser: Browser;
  let ada: Person;
  let origin: string;

  beforeAll(async () => {
    stack = await startStack({
      seed: `create table "${HOSTILE_TABLE}" (id int); grant select on "${HOSTILE_TABLE}" to shop_app;`,
      settings: { server: { api: { listen: '127.0.0.1:0', dnsName: 'countersign.localhost' } } },
    });
    browser = await launchChromium();
    ada = await openPerson(browser);
    origin = new URL(await link()).origin;
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.stop();
  });

  async function link(): Promise<string> {
    const { stdout, stderr } = await stack.cli(['sign-in', 'link']);
    const [found] = /https:\/\/\S+/.exec(stdout) ?? [];
    if (found === undefined) throw new Error(`no link: ${stdout}${stderr}`);
    return found;
  }

  async function signIn({ page }: Person): Promise<void> {
    await page.goto(await link());
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('**/console/');
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
  }

  const session = (application = 'report') =>
    openRawSession(agentWay(stack).door, { database: 'shop', application_name: application });
  const goTo = async (page: Page, place: string, heading: string) => {
    await page.goto(`${origin}/console${place}`);
    await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
  };

  it('leads whoever is not signed in to where they can, and remembers where they were', async () => {
    const nobody = await openPerson(browser);
    await nobody.page.goto(`${origin}/console/record?kind=denial`);
    await nobody.page.waitForURL('**/sign-in?return=*');
    expect(new URL(nobody.page.url()).searchParams.get('return')).toBe('/console/record?kind=denial');
    await expect
      .poll(() => nobody.page.getByRole('link', { name: 'where you were' }).getAttribute('href'))
      .toBe('/console/record?kind=denial');
    await nobody.context.close();
  });

  it('lets somebody in by a one-time link, by one page of less than 200 kB', async () => {
    const sizes: Promise<number>[] = [];
    ada.page.on('requestfinished', (request) => {
      if (request.url().includes('/console/'))
        sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
    });
    await signIn(ada);
    await ada.page.getByText('No session runs right now.').waitFor();
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(200_000);
  });

  it('shows a session as soon as it runs, what ending it hits, and ends it for its client', async () => {
    const { page } = ada;
    await goTo(page, '/sessions', 'Live sessions');
    const client = await session();
    client.send(query('select pg_sleep(60)'));
    const row = page.getByRole('row').filter({ hasText: '/web' });
    await row.getByText('postgres:').first().waitFor();
    await row.click();
    await page.getByRole('dialog').getByText('Process').waitFor();
    expect(page.url()).toContain('open=');
    await page.getByRole('button', { name: 'End…' }).click();
    const dialog = page.getByRole('dialog', { name: 'End this session?' });
    await dialog.getByText('1 session of 1 identity on 1 target').waitFor();
    await dialog.getByText('1 operation in progress will be cut off').waitFor();
    await dialog.getByLabel('Reason, for the record').fill('a drill');
    await dialog.getByRole('button', { name: 'End 1 session' }).click();
    expect((await client.end()).join(' ')).toMatch(/E:57P01:an operator ended this session/);
    await page.getByText('1 session ended').waitFor();
    const closed = (await stack.ledger()).find(({ detail }) => detail['endedFor'] === 'a drill');
    expect(closed?.detail['endedBy']).toMatch(/#link-/);
  });

  it('finds what a session did, and proves an entry in the browser, with the server gone', async () => {
    const { page } = ada;
    await goTo(page, '/record?kind=session-close', 'Record');
    await page.getByRole('row').filter({ hasText: 'session-close' }).first().click();
    const panel = page.getByRole('region', { name: 'Proof' });
    await panel.getByRole('button', { name: 'Verify in this browser' }).click();
    await panel.getByText('Verified', { exact: true }).waitFor();
    await panel.getByText(/has signed its tree of \d+ entries/).waitFor();
    await panel.getByText(/A server has countersigned that tree/).waitFor();
    const key = await panel.getByLabel('Public key of the log').getAttribute('placeholder');
    await ada.context.setOffline(true);
    await panel.getByLabel('Public key of the log').fill(String(key));
    await panel.getByText('Verified with the key that you gave.').waitFor();
    await panel.getByText('Verified', { exact: true }).waitFor();
    const wrong = String(key).replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    await panel.getByLabel('Public key of the log').fill(wrong);
    await panel.getByText('Not verified').waitFor();
    await ada.context.setOffline(false);
  });

  it('shows texts of strangers as texts', async () => {
    const { page } = ada;
    const client = await session(HOSTILE_APPLICATION);
    client.send(query(`select id as "<b>x</b>" from "${HOSTILE_TABLE}"`));
    await client.ready();
    client.send(query(`select pg_sleep(60) as "<svg onload=alert(3)>"`));
    await goTo(page, '/sessions', 'Live sessions');
    await page.getByRole('row').filter({ hasText: 'alert(2)' }).click();
    await page.getByRole('dialog').getByText('"><script>alert(2)</script>').waitFor();
    await page.keyboard.press('Escape');
    await goTo(page, '/record', 'Record');
    await page.getByRole('row').filter({ hasText: 'onerror=alert(1)' }).first().click();
    await page.getByRole('dialog').getByText('onerror=alert(1)').first().waitFor();
    await goTo(page, `/record?object=${encodeURIComponent('<img src=x onerror=alert(4)>')}&kind=denial`, 'Record');
    await page.getByText('No entry is of that kind.').waitFor();
    expect(await page.locator('img[src="x"], svg[onload], script:not([src])').count()).toBe(0);
    expect(ada.complaints).toEqual([]);
    client.close();
  });

  it('is used by keyboard alone', async () => {
    const { page } = ada;
    await goTo(page, '/', 'Overview');
    await page.keyboard.press('g');
    await page.keyboard.press('r');
    await page.getByRole('heading', { name: 'Record', level: 1 }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'What do you look for?' }).fill('live');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Live sessions', level: 1 }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
    await page.keyboard.press('/');
    expect(await page.evaluate('document.activeElement.labels[0].textContent')).toBe('Identity');
  });

  describe('can be used by everybody', () => {
    const PLACES = [
      ['overview', '/', 'Overview'],
      ['sessions', '/sessions', 'Live sessions'],
      ['record', '/record', 'Record'],
      ['nothing', '/record?target=nowhere', 'Record'],
    ] as const;
    let client: Awaited<ReturnType<typeof session>>;
    beforeAll(async () => {
      client = await session();
      client.send(query('select no_such_column'));
      await client.ready();
      client.send(query('select pg_sleep(60)'));
    });
    afterAll(() => client?.close());

    it.each(
      (['light', 'dark'] as const).flatMap((scheme) => [360, 1280, 2560].map((width) => [scheme, width] as const)),
    )('%s, %i pixels wide', async (scheme, width) => {
      const person = await openPerson(browser, { scheme, width, height: width === 360 ? 740 : 900 });
      await signIn(person);
      const { page } = person;
      for (const [name, place, heading] of PLACES) {
        await goTo(page, place, heading);
        await expect.poll(() => page.getByRole('status', { name: 'Loading' }).count()).toBe(0);
        await picture(page, `${name}-${scheme}-${width}`);
        expect({ name, found: await seriousFindings(page) }).toEqual({ name, found: [] });
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      }
      for (const [name, open] of OPENED) {
        await open(page);
        await picture(page, `${name}-${scheme}-${width}`);
        expect({ name, found: await seriousFindings(page) }).toEqual({ name, found: [] });
      }
      expect(person.complaints).toEqual([]);
      await person.context.close();
    });

    const OPENED: readonly (readonly [string, (page: Page) => Promise<void>])[] = [
      [
        'session',
        async (page) => {
          await goTo(page, '/sessions', 'Live sessions');
          await page.getByRole('row').filter({ hasText: '/web' }).first().click();
          await page.getByRole('button', { name: 'End…' }).waitFor();
        },
      ],
      [
        'end',
        async (page) => {
          await page.getByRole('button', { name: 'End…' }).click();
          await page.getByText('in progress will be cut off').waitFor();
        },
      ],
      [
        'entry',
        async (page) => {
          await goTo(page, '/record?kind=intent', 'Record');
          await page.getByRole('row').filter({ hasText: 'intent' }).first().click();
          await page.getByRole('button', { name: 'Verify in this browser' }).click();
          await page.getByText('Verified', { exact: true }).waitFor();
        },
      ],
      [
        'palette',
        async (page) => {
          await goTo(page, '/', 'Overview');
          await page.keyboard.press('Control+k');
          await page.getByRole('combobox', { name: 'What do you look for?' }).fill('rec');
        },
      ],
    ];

    async function picture(page: Page, name: string): Promise<void> {
      if (SHOTS === undefined) return;
      fs.mkdirSync(SHOTS, { recursive: true });
      await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
    }
  });

  it('signs out, and shows nothing after that', async () => {
    const { page } = ada;
    await goTo(page, '/', 'Overview');
    await page.getByRole('button', { name: /who you are/ }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL('**/sign-in');
    await page.goto(`${origin}/console/sessions`);
    await page.waitForURL('**/sign-in?return=*');
    await eventually('the record says so', async () =>
      (await stack.ledger('server')).some(({ action }) => action === 'SignOut'),
    );
    expect(ada.complaints).toEqual([]);
  });
});
