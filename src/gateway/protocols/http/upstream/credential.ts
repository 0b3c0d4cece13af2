import type { Field } from '../../../../wire/http1/index.ts';
import { GatewayError } from '../../../errors.ts';
import type { SecretResolver } from '../../../protocol.ts';
import type { HttpConfig } from '../config.ts';
import type { Signer } from './signature.ts';

/** What proves the gateway to an upstream, ready to be put into a request. */
export interface Credential {
  readonly field: Field | undefined;
  readonly query: { readonly name: string; readonly value: string } | undefined;
  /** Signs each request. */
  readonly signer: Signer | undefined;
  /** Each form in which an answer might repeat it. */
  readonly forms: readonly Buffer[];
}

/** Without any. */
export const noCredential: Credential = { field: undefined, query: undefined, signer: undefined, forms: [] };

/** The newer one, with what is to be found of those before it: a request that carried them may be answered yet, or echoed later. */
export function withOlderForms(newer: Credential, before: Credential): Credential {
  const own = new Set(newer.forms.map(String));
  const older = before.forms.filter((form) => !own.has(String(form)));
  return older.length === 0 ? newer : { ...newer, forms: [...newer.forms, ...older.slice(0, OLDER_FORMS_MAX)] };
}

/**
 * Reads the credential that a target's config names.
 * @throws GatewayError ERR_GATEWAY_SECRET also when it can't stand in a request
 */
export async function readCredential(
  { credential }: Pick<HttpConfig, 'credential'>,
  secrets: SecretResolver,
  signal: AbortSignal,
): Promise<Credential> {
  if (credential === undefined) return noCredential;
  const read = async (reference: string) => {
    const text = (await secrets.resolve(reference, signal)).reveal().toString('latin1').trim();
    if (!PRINTABLE.test(text))
      throw new GatewayError('ERR_GATEWAY_SECRET', `${reference} is no text that a request can carry`);
    return text;
  };
  if ('bearer' in credential) {
    const token = await read(credential.bearer);
    return { ...noCredential, field: { name: 'authorization', value: `Bearer ${token}` }, forms: formsOf(token) };
  }
  if ('basic' in credential) {
    const { user, password: reference } = credential.basic;
    const password = await read(reference);
    const pair = Buffer.from(`${user}:${password}`, 'latin1').toString('base64');
    return {
      ...noCredential,
      field: { name: 'authorization', value: `Basic ${pair}` },
      forms: [...formsOf(password), ...formsOf(pair)],
    };
  }
  if ('header' in credential) {
    const value = await read(credential.header.value);
    return { ...noCredential, field: { name: credential.header.name.toLowerCase(), value }, forms: formsOf(value) };
  }
  if ('sigv4' in credential) return signing(credential.sigv4, read);
  const value = await read(credential.query.value);
  return { ...noCredential, query: { name: credential.query.name, value }, forms: formsOf(value) };
}

async function signing(
  config: Extract<NonNullable<HttpConfig['credential']>, { sigv4: unknown }>['sigv4'],
  read: (reference: string) => Promise<string>,
): Promise<Credential> {
  const { region, service } = config;
  const accessKeyId = await read(config.accessKeyId);
  if (!KEY_ID.test(accessKeyId))
    throw new GatewayError('ERR_GATEWAY_SECRET', `${config.accessKeyId} is no ID of an access key`);
  const secretAccessKey = await read(config.secretAccessKey);
  const sessionToken = config.sessionToken === undefined ? undefined : await read(config.sessionToken);
  return {
    ...noCredential,
    signer: { region, service, accessKeyId, secretAccessKey, sessionToken },
    forms: [
      ...formsOf(secretAccessKey),
      ...(sessionToken === undefined ? [] : [...formsOf(sessionToken), spacedHex(sessionToken)]),
    ],
  };
}

/** As S3 says what it took for the request when a signature is wrong. */
function spacedHex(value: string): Buffer {
  return Buffer.from(
    Buffer.from(value, 'latin1')
      .toString('hex')
      .replace(/..(?=.)/g, '$& '),
    'latin1',
  );
}

/**
 * As it is; in base64, whatever stands before it; in hexadecimal; percent-encoded, also as messages of gRPC are; and as JSON and HTML are written by those who escape more or less. What
 * is too short would be found everywhere.
 */
function formsOf(value: string): readonly Buffer[] {
  const bytes = Buffer.from(value, 'latin1');
  const percent = encodeURIComponent(value);
  const everySign = percent.replace(/[!'()*]/g, hexOf);
  const json = JSON.stringify(value).slice(1, -1);
  const base64 = [bytes.toString('base64'), ...[0, 1, 2].map((before) => base64Within(bytes, before))];
  const forms = [
    ...[value, ...base64, ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))],
    value.replaceAll('%', '%25'),
    ...[bytes.toString('hex'), bytes.toString('hex').toUpperCase()],
    ...[percent, everySign].flatMap((form) => [form, lowerHex(form), form.replaceAll('%20', '+')]),
    ...[json, json.replaceAll('/', '\\/'), json.replace(/[<>&='+]/g, unicodeOf)],
    ...HTML_QUOTES.map(([double, single]) => htmlOf(value).replaceAll('"', double).replaceAll("'", single)),
  ];
  return [...new Set(forms)]
    .filter((form) => form.length >= FORM_LENGTH_MIN)
    .map((form) => Buffer.from(form, 'latin1'));
}

/** What base64 of a text has of it alone, with so many bytes (modulo 3) before it in that text. */
function base64Within(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes])
    .toString('base64')
    .replaceAll('=', '');
  const isShared = (before + bytes.length) % 3 !== 0;
  return text.slice(before === 0 ? 0 : before + 1, isShared ? -1 : undefined);
}

function hexOf(sign: string): string {
  return `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
}

function lowerHex(form: string): string {
  return form.replace(/%[0-9A-F]{2}/g, (found) => found.toLowerCase());
}

function unicodeOf(sign: string): string {
  return `\\u00${sign.charCodeAt(0).toString(16)}`;
}

function htmlOf(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const HTML_QUOTES = [
  ['&quot;', "'"],
  ['&quot;', '&#39;'],
  ['&quot;', '&#x27;'],
  ['&#34;', '&#39;'],
] as const;
/** Shorter ones are words by chance. */
const FORM_LENGTH_MIN = 8;
/** It stands between commas and slashes. */
const KEY_ID = /^[A-Za-z0-9._@+-]{1,128}$/;
/** Of a few credentials before. */
const OLDER_FORMS_MAX = 24;
const PRINTABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
