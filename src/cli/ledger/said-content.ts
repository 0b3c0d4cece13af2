import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIGEST_KEY_FILE, parseDigestKey } from '../../app/digest-key.ts';
import { gatewayFolderOf } from '../../app/workers/own-folder.ts';
import { createContentDigester, keyIdOf } from '../../gateway/index.ts';
import type { LedgerEntry } from '../../ledger/index.ts';
import { PrivateFileError, readGivenSecret } from '../../private-files/index.ts';
import { messageOf } from '../../std/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { ledgerFolder } from './folder.ts';

/** Options of a search for what a client said. */
export const contentOptions = [
  [
    '--content <file>',
    'a statement, or a request (GET /path?query), as the client sent it, or - for standard input; with or without its last semicolon and line end',
  ],
  [
    '--values <file>',
    'the values bound to it, as a JSON array of texts and null, of a request its body; numbers and times that a driver sends in binary form are not found',
  ],
  ['--digest-key <file>', "the gateway's key that finds content (default: digest.key beside the ledger's folder)"],
] as const;

/** Finds entries by what their client said. */
export interface SaidContent {
  matches(entry: LedgerEntry): boolean;
  /** Of which entries it can't be said whether they match, in words; undefined when there was none. */
  passedOver(): string | undefined;
}

/** What `--content` asks for; undefined without it. @throws UsageError, AppError ERR_APP_KEY, PrivateFileError */
export async function saidContent(context: CliContext, input: CliInput): Promise<SaidContent | undefined> {
  const file = textOption(input, 'content');
  const valuesFile = textOption(input, 'values');
  if (file === undefined) {
    if (valuesFile === undefined) return undefined;
    throw new UsageError('--values are those of a statement: name its file with --content');
  }
  if (file === '-' && valuesFile === '-')
    throw new UsageError('only one of --content and --values can come from standard input');
  const texts = wordingsOf(await readText(context, '--content', file));
  const values = valuesFile === undefined ? [] : parseValues(await readText(context, '--values', valuesFile));
  const { keyId, digest } = await digesterOf(context, input);
  const formats = formatsOf(values.length);
  const wanted = new Set(texts.flatMap((text) => formats.map((one) => digest({ text, values, formats: one }))));
  const others = new Set<string>();
  let passedOver = 0;
  return {
    matches({ detail: { contentDigest } }) {
      if (typeof contentDigest !== 'string') return false;
      const by = keyIdOf(contentDigest);
      if (by === keyId) return wanted.has(contentDigest);
      passedOver++;
      others.add(by ?? 'none');
      return false;
    },
    passedOver() {
      if (passedOver === 0) return undefined;
      const keys = Array.from(others).slice(0, KEYS_SHOWN_MAX).join(', ');
      const which = passedOver === 1 ? '1 entry was' : `${passedOver} entries were`;
      return `${which} not compared: made with another key than ${keyId} (${keys})`;
    },
  };
}

async function readText(context: CliContext, option: string, file: string): Promise<string> {
  if (file === '-') return (await context.stdin()).toString('utf8');
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`the file of ${option} can't be read: ${messageOf(cause)}`, { cause });
  }
}

/** Programs send a statement with or without its semicolon, and editors put a line end behind it. */
function wordingsOf(text: string): readonly string[] {
  const trimmed = text.trimEnd();
  const bare = trimmed.endsWith(';') ? trimmed.slice(0, -1).trimEnd() : trimmed;
  return Array.from(new Set([text, text.replace(/\r?\n$/, ''), trimmed, bare, `${bare};`]));
}

/** @throws UsageError */
function parseValues(text: string): readonly (Buffer | null)[] {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    // Said below, with the form that is wanted; the parser's message would quote a value.
  }
  if (!Array.isArray(values) || !values.every((value) => value === null || typeof value === 'string'))
    throw new UsageError('the file of --values holds a JSON array of texts and null, such as ["42", null]');
  return values.map((value) => (value === null ? null : Buffer.from(value)));
}

/** A text has the same bytes in text and in binary form; which of them its driver chose can't be known. */
function formatsOf(values: number): readonly (readonly number[])[] {
  // A request's body has none.
  if (values > MIXED_VALUES_MAX) return [[], [0], [1]];
  const mixed = Array.from({ length: 2 ** values }, (_, mix) =>
    Array.from({ length: values }, (__, i) => (mix >> i) & 1),
  );
  return values === 0 ? mixed : [[], ...mixed];
}

async function digesterOf(context: CliContext, input: CliInput) {
  const path = textOption(input, 'digestKey') ?? join(gatewayFolderOf(ledgerFolder(context, input)), DIGEST_KEY_FILE);
  const line = await readGivenSecret(`file:${path}`, { env: context.env, bytesMax: 1024 }).catch((cause) => {
    // What is open to others is no key that may be used; that says what to do.
    if (cause instanceof PrivateFileError && cause.code !== 'ERR_PRIVATE_FILE_IO') throw cause;
    throw new UsageError(`content is found by the key ${path}, which this user can't read`, { cause });
  });
  if (line === undefined)
    throw new UsageError(
      `content is found by a key, and there is none in ${path}; name the gateway's with --digest-key`,
    );
  return createContentDigester(parseDigestKey(path, line.reveal().toString('latin1')));
}

/** Of each value both forms are tried: 256 together. */
const MIXED_VALUES_MAX = 8;
const KEYS_SHOWN_MAX = 4;
