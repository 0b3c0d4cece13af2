import type { Field } from '../../../../wire/http1/index.ts';
import { GatewayError } from '../../../errors.ts';
import type { SecretResolver } from '../../../protocol.ts';
import type { HttpConfig } from '../config.ts';

/** What proves the gateway to an upstream, ready to be put into a request. */
export interface Credential {
  readonly field: Field | undefined;
  readonly query: { readonly name: string; readonly value: string } | undefined;
  /** Each form in which an answer might repeat it. */
  readonly forms: readonly Buffer[];
}

/** Without any. */
export const noCredential: Credential = { field: undefined, query: undefined, forms: [] };

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
  const value = await read(credential.query.value);
  return { ...noCredential, query: { name: credential.query.name, value }, forms: formsOf(value) };
}

/** As it is, in base64, percent-encoded, and as JSON writes it. What is too short would be found everywhere. */
function formsOf(value: string): readonly Buffer[] {
  if (value.length < FORM_LENGTH_MIN) return [];
  const forms = [
    value,
    Buffer.from(value, 'latin1').toString('base64'),
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
  ];
  return [...new Set(forms)].map((form) => Buffer.from(form, 'latin1'));
}

/** Shorter ones are words by chance. */
const FORM_LENGTH_MIN = 8;
const PRINTABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
