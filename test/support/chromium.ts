/** Debian's Chromium, without a window, for tests of the console: it reaches this machine and nothing else. */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** Its path; undefined where it is not installed. */
export const chromiumBinary: string | undefined = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) =>
  fs.existsSync(file),
);

/** Starts it. Whoever starts it closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumBinary ?? 'chromium',
    // As root it can't have a sandbox of its own.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
      '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE *.localhost , EXCLUDE 127.0.0.1',
    ],
  });
}

/** A browser as one person has it, and what its pages complained of: refused by their policy, or thrown. */
export interface Person {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Problems of pages, as text; what a server refused by its status is none. */
  readonly complaints: string[];
}

/** Opens one. The certificate of the server is of its own authority, which no browser knows. */
export async function openPerson(
  browser: Browser,
  options: { readonly width?: number; readonly height?: number; readonly scheme?: 'light' | 'dark' } = {},
): Promise<Person> {
  const { width = 1280, height = 800, scheme = 'light' } = options;
  const context = await browser.newContext({
    ...{ ignoreHTTPSErrors: true, viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce' },
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  return { context, page, complaints };
}

/** What axe finds that keeps somebody from using the page: serious and critical, each with where it is. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  const source = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  // By the debugger, which the policy of the page does not bind.
  await page.evaluate(source);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary ?? ''}`),
    );
}
